"""A certificate authority of this directory's own, and a certificate for localhost.

Made once: a second start keeps both, so a client that trusts `ca.pem` goes on trusting.
"""

from __future__ import annotations

from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1")


def ensure(ca_file: Path, chain_file: Path) -> None:
    """Write the CA certificate, and key + certificate in one file, unless both are there."""
    if ca_file.exists() and chain_file.exists():
        return
    authority = trustme.CA(organization_name="Franking local stack")
    server = authority.issue_cert(*NAMES, key_type=trustme.KeyType.ECDSA)
    chain_file.touch(mode=0o600)
    chain_file.write_bytes(server.private_key_and_cert_chain_pem.bytes())
    authority.cert_pem.write_to_path(ca_file)
