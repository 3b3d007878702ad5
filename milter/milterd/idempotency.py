"""The key under which a client may send a message twice, and what makes two messages the same.

`X-Idempotency-Key: order-1042` (Resend's name for it: `Resend-Idempotency-Key`) is written by the
client; the fields are removed before the message is signed.  What happens on a repeat is decided
by who stores the key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

NAMES = frozenset((b"x-idempotency-key", b"resend-idempotency-key"))
LONGEST = 255
COMPARED = (b"from", b"to", b"cc", b"subject", b"reply-to")
_KEY = re.compile(rb"[\x20-\x7e]+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def present(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() in NAMES for name, _ in headers)


def idempotency_key(headers: Sequence[tuple[bytes, bytes]]) -> tuple[str | None, list[str]]:
    """(the key, what is wrong with it); None without such a header and with a wrong one."""
    found = dict.fromkeys(
        _FOLD.sub(b"", value).strip(b" \t") for name, value in headers if name.lower() in NAMES
    )
    if not found:
        return None, []
    if len(found) > 1:
        return None, ["there are different idempotency keys"]
    (key,) = found
    if not key:
        return None, ["the idempotency key is empty"]
    if len(key) > LONGEST:
        return None, [f"the idempotency key is longer than {LONGEST} characters"]
    if not _KEY.fullmatch(key):
        return None, ["the idempotency key contains other characters than printable ASCII"]
    return key.decode("ascii"), []


def content_digest(
    from_address: str,
    recipients: Sequence[str],
    headers: Sequence[tuple[bytes, bytes]],
    body_digest: bytes,
) -> str:
    """What a repeat must have in common with the first message, as SHA-256 in hexadecimal.

    The author, the set of recipients, the values of `COMPARED` without folds, and the body's DKIM
    hash (RFC 6376 §3.4.4).  Not Date and Message-ID: a client may write new ones for each attempt.
    Each item is preceded by its length, so that nothing can pass for its neighbour.
    """
    values = [
        (key, _FOLD.sub(b"", value).strip(b" \t"))
        for name, value in headers
        if (key := name.lower()) in COMPARED
    ]
    items = [
        from_address.encode(),
        *(recipient.encode() for recipient in sorted(set(recipients))),
        b"",  # ends the recipients: no address is empty
        *(item for pair in sorted(values, key=lambda pair: pair[0]) for item in pair),
        body_digest,
    ]
    digest = hashlib.sha256()
    for item in items:
        digest.update(b"%d:" % len(item) + item)
    return digest.hexdigest()
