"""A certificate authority of this directory's own, and certificates for localhost: ECDSA and RSA.

Made once: a second start keeps all, so a client that trusts `ca.pem` goes on trusting.  `issue`
replaces the certificates, as an ACME client does when they are about to expire.
"""

from __future__ import annotations

from pathlib import Path

import trustme
from trustme import KeyType

from stack.settings_file import write_private

NAMES = ("localhost", "127.0.0.1")


def ensure(directory: Path) -> None:
    """Make what is not there yet."""
    if not _key_file(directory).exists():
        authority = trustme.CA(organization_name="Franking local stack")
        authority.cert_pem.write_to_path(ca_file(directory))
        write_private(_key_file(directory), authority.private_key_pem.bytes().decode())
        issue(directory)


def issue(directory: Path) -> None:
    """Replace both key and certificate files, each at once."""
    authority = trustme.CA.from_pem(
        ca_file(directory).read_bytes(), _key_file(directory).read_bytes()
    )
    for path, key_type in zip(chain_files(directory), (KeyType.ECDSA, KeyType.RSA), strict=True):
        made = authority.issue_cert(*NAMES, key_type=key_type)
        write_private(path, made.private_key_and_cert_chain_pem.bytes().decode())


def ca_file(directory: Path) -> Path:
    """What a client is to trust."""
    return directory / "ca.pem"


def chain_files(directory: Path) -> tuple[Path, Path]:
    """Key and certificate in one file: of the ECDSA one, of the RSA one."""
    return directory / "server-ecdsa.pem", directory / "server-rsa.pem"


def _key_file(directory: Path) -> Path:
    return directory / "ca.key"
