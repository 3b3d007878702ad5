"""One DKIM signature (RFC 6376, RFC 8463), relaxed/relaxed, from headers and a body hash.

dkimpy canonicalises and hashes, `cryptography` signs: dkimpy's own RSA is pure Python, 14 times
slower, and holds the interpreter lock.  Nothing else imports dkimpy.
Every field of `OVERSIGNED` is named once more than it occurs, present or not, so that none can be
added on the way.  There is no `l=`: a signature covers the whole body or nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime

import dkim
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from dkim.canonicalization import Relaxed

from franking.domains.dkim import ED25519, PrivateKey

OVERSIGNED = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"list-unsubscribe",
    b"list-unsubscribe-post",  # RFC 8058: one-click counts only when both are signed
)
# Signed when present; relays may add their own, so an addition must not break the signature.
SIGNED = (
    b"list-id",
    b"list-help",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
    b"feedback-id",
    b"auto-submitted",
)
NAME = b"DKIM-Signature"
_WIDTH = 75  # octets a folded line may have


def sign(
    headers: Sequence[tuple[bytes, bytes]],
    body_hash: bytes,
    *,
    domain: str,
    selector: str,
    key: PrivateKey,
    algorithm: str,
    now: datetime,
    also: Sequence[bytes] = (),
) -> bytes:
    """The value of a DKIM-Signature field, folded with CRLF, starting with a space.

    `headers` are all fields of the message, top to bottom, values as they are after the colon;
    `body_hash` is the SHA-256 of the relaxed body; `also` names further fields to be signed when
    present, in lower case.
    """
    if (algorithm == ED25519) != isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{type(key).__name__} cannot sign {algorithm}")
    included = _included(headers, (*SIGNED, *also))
    unsigned = _unsigned_value(
        [
            (b"v", b"1"),
            (b"a", algorithm.encode()),
            (b"c", b"relaxed/relaxed"),
            (b"d", domain.encode()),
            (b"s", selector.encode()),
            (b"t", str(int(now.timestamp())).encode()),
            (b"h", b":".join(included)),
            (b"bh", base64.b64encode(body_hash)),
        ]
    )
    digest = _digest(headers, included, unsigned)
    return unsigned + b" b=" + _folded(base64.b64encode(_signature(key, digest)))


def _included(headers: Sequence[tuple[bytes, bytes]], when_present: Sequence[bytes]) -> list[bytes]:
    """The `h=` list: each field as often as it occurs, the oversigned ones once more."""
    present = [name.lower() for name, _ in headers]
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (present.count(name) + 1)
    for name in when_present:
        names += [name] * present.count(name)
    return names


def _unsigned_value(tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    """All tags but `b=`, which starts a line of its own so that adding it moves nothing."""
    text = b""
    room = _WIDTH - len(NAME) - 1
    for name, value in tags:
        first, *others = _pieces(value) if name == b"h" else [value]
        for piece in [b" " + name + b"=" + first, *others]:
            if len(piece) + 1 > room:
                text += b"\r\n" + (b"" if piece.startswith(b" ") else b"  ")
                room = _WIDTH - 2
            text += piece
            room -= len(piece)
        text += b";"
        room -= 1
    return text + b"\r\n"


def _pieces(names: bytes) -> list[bytes]:
    """`h=` may be folded behind each colon; other values stay whole."""
    *firsts, last = names.split(b":")
    return [name + b":" for name in firsts] + [last]


def _folded(base64_text: bytes) -> bytes:
    width = _WIDTH - 3  # " b=", and two spaces on the next lines
    return b"\r\n  ".join(
        base64_text[start : start + width] for start in range(0, len(base64_text), width)
    )


def _digest(
    headers: Sequence[tuple[bytes, bytes]], included: Sequence[bytes], unsigned: bytes
) -> bytes:
    hasher = hashlib.sha256()
    wanted = set(included)
    canonical = Relaxed.canonicalize_headers(
        [(name, value) for name, value in headers if name.lower() in wanted]
    )
    own = (NAME, unsigned + b" b=")
    dkim.hash_headers(hasher, Relaxed, canonical, included, own, {})
    return hasher.digest()


def _signature(key: PrivateKey, digest: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(digest)  # RFC 8463 §3: of the hash, not of the text
    return key.sign(digest, PKCS1v15(), Prehashed(hashes.SHA256()))
