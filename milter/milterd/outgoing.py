"""What a message gets before it leaves: the headers it lacks, and its signatures."""

from __future__ import annotations

import uuid
from datetime import datetime
from email.utils import format_datetime

from franking.domains import signing
from franking.mail.authority import SigningDomain
from milterd.verdict import Headers, Lookups


def missing(headers: Headers, domain: str, now: datetime) -> Headers:
    """RFC 5322 wants a Date, and everybody wants a Message-ID; signed, so added before signing."""
    present = {name.lower() for name, _ in headers}
    add: Headers = []
    if b"date" not in present:
        add.append((b"Date", b" " + format_datetime(now).encode()))
    if b"message-id" not in present:
        add.append((b"Message-ID", f" <{uuid.uuid4()}@{domain}>".encode()))
    return add


def signatures(
    headers: Headers, body_hash: bytes, domain: SigningDomain, lookups: Lookups, now: datetime
) -> list[bytes]:
    """The values of the DKIM-Signature fields, one for each of the domain's keys."""
    return [
        signing.sign(
            headers,
            body_hash,
            domain=domain.name,
            selector=key.selector,
            key=lookups.private_key(domain.domain_id, key),
            algorithm=key.algorithm,
            now=now,
        )
        for key in domain.keys
    ]
