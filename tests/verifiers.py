"""Two verifiers of DKIM signatures that share no code with the signer: opendkim-testmsg and dkimpy.

opendkim-testmsg asks the system's resolver and cannot be handed a key.  So it runs in network and
mount namespaces of its own, whose resolv.conf names a small DNS server that this file starts there;
nothing leaves them.  One call verifies any number of messages: the namespaces are the slow part.
dkimpy takes its DNS as a function, and is asked with its own pure-Python RSA.

    python tests/verifiers.py RECORDS.json MESSAGE...    (what runs inside the namespaces)
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

Records = Mapping[str, str]  # name without final dot → TXT value


def opendkim(messages: Sequence[bytes], records: Records) -> list[str]:
    """One text per message: empty when its signature verifies, else what opendkim-testmsg said."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, f"{number}.eml") for number in range(len(messages))]
        for path, message in zip(paths, messages, strict=True):
            path.write_bytes(message)
        return opendkim_files(paths, records)


def opendkim_files(paths: Sequence[Path], records: Records) -> list[str]:
    """The same for messages that are files; a thousand at most."""
    with tempfile.TemporaryDirectory() as name:
        table = Path(name, "records.json")
        table.write_text(json.dumps(dict(records)))
        done = subprocess.run(
            ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "--net",
             sys.executable, __file__, str(table), *map(str, paths)],
            capture_output=True, text=True, timeout=60 + len(paths), check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"the namespaces for opendkim-testmsg failed: {done.stderr}")
        found: list[str] = json.loads(done.stdout)
        return found


def dkimpy(message: bytes, records: Records) -> list[bool]:
    """For each DKIM-Signature of the message, from the top: does it verify?"""
    import dkim

    def txt(name: bytes | str, timeout: float = 5) -> bytes | None:
        text = name.decode() if isinstance(name, bytes) else name
        value = records.get(text.rstrip(".").lower())
        return None if value is None else value.encode()

    found = []
    verifier = dkim.DKIM(message)
    signatures = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    for number, value in enumerate(signatures):
        if re.search(rb"\ba\s*=\s*ed25519", value):  # dkimpy needs PyNaCl for these
            found.append(_ed25519(verifier, value, txt))
        else:
            try:
                found.append(bool(dkim.DKIM(message).verify(idx=number, dnsfunc=txt)))
            except dkim.DKIMException:
                found.append(False)
    return found


def _ed25519(verifier: object, value: bytes, txt: object) -> bool:
    """RFC 8463 by hand on dkimpy's hashes."""
    import hashlib

    import dkim
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from dkim.canonicalization import Relaxed
    from dkim.util import parse_tag_value

    tags = parse_tag_value(value)
    record = txt(tags[b"s"] + b"._domainkey." + tags[b"d"])  # type: ignore[operator]
    public = base64.b64decode(parse_tag_value(record)[b"p"])
    body = Relaxed.canonicalize_body(verifier.body)  # type: ignore[attr-defined]
    if base64.b64encode(hashlib.sha256(body).digest()) != re.sub(rb"\s", b"", tags[b"bh"]):
        return False
    names = [name.strip().lower() for name in tags[b"h"].split(b":")]
    hasher = hashlib.sha256()
    headers = Relaxed.canonicalize_headers(verifier.headers)  # type: ignore[attr-defined]
    dkim.hash_headers(hasher, Relaxed, headers, names, (b"DKIM-Signature", value), tags)
    signature = base64.b64decode(re.sub(rb"\s", b"", tags[b"b"]))
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, hasher.digest())
    except InvalidSignature:
        return False
    return True


def _inside(records_file: str, paths: Sequence[str]) -> None:
    """Runs as root of fresh namespaces: loopback up, our DNS, one opendkim-testmsg per message."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resolv = Path(records_file).with_name("resolv.conf")
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    subprocess.run(["mount", "--bind", str(resolv), "/etc/resolv.conf"], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    records = json.loads(Path(records_file).read_text())
    threading.Thread(target=_serve, args=(server, records), daemon=True).start()
    json.dump([_testmsg(Path(path)) for path in paths], sys.stdout)


def _testmsg(path: Path) -> str:
    with path.open("rb") as message:
        done = subprocess.run(
            ["opendkim-testmsg", "-t", str(path.parent)], stdin=message, capture_output=True,
            text=True, timeout=30, check=False,
        )  # fmt: skip
    said = (done.stdout + done.stderr).strip()
    return said if said or done.returncode == 0 else f"exit status {done.returncode}"


def _serve(server: socket.socket, records: Records) -> None:
    """TXT answers from `records`, NXDOMAIN for all else."""
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.rrset

    while True:
        packet, client = server.recvfrom(4096)
        query = dns.message.from_wire(packet)
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=True)
        value = records.get(question.name.to_text(omit_final_dot=True).lower())
        if value is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.TXT:
            parts = " ".join(f'"{value[i : i + 255]}"' for i in range(0, len(value), 255))
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", parts))
        server.sendto(response.to_wire(), client)


if __name__ == "__main__":
    _inside(sys.argv[1], sys.argv[2:])
