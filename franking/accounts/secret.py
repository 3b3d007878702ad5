"""The form of SMTP user names and secrets.

    user name  <prefix>_<id>                              frank_k3x9q2m7ab
    secret     <prefix>_<live|test>_<id><random><check>   frank_live_k3x9q2m7ab…

`id` is 10, `random` 32 (160 bits) and `check` 6 characters of base 32 in lower case without
look-alikes.  The id inside the secret lets an application put the secret into both fields; the
checksum (CRC-32) lets a secret scanner or the panel tell a typo from a wrong secret.  A random
secret of 160 bits needs no slow hash: SHA-256 is what is stored (docs/decisions/0004).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "abcdefghjkmnpqrstuvwxyz023456789"
ID_LENGTH, RANDOM_LENGTH, CHECK_LENGTH = 10, 32, 6
_SECRET = re.compile(
    rf"(?P<prefix>[a-z][a-z0-9]{{1,11}})_(?P<mode>live|test)_(?P<body>[{ALPHABET}]"
    rf"{{{ID_LENGTH + RANDOM_LENGTH + CHECK_LENGTH}}})"
)


@dataclass(frozen=True)
class Parsed:
    """A well-formed secret's parts."""

    prefix: str
    mode: str
    key_id: str

    @property
    def username(self) -> str:
        return f"{self.prefix}_{self.key_id}"


def generate(prefix: str, mode: str) -> tuple[str, str]:
    """A new (user name, secret)."""
    username = f"{prefix}_{_random(ID_LENGTH)}"
    return username, another(username, mode)


def another(username: str, mode: str) -> str:
    """A new secret for a user name that exists."""
    prefix, _, key_id = username.partition("_")
    start = f"{prefix}_{mode}_{key_id}{_random(RANDOM_LENGTH)}"
    return start + _check(start)


def parse(text: str) -> Parsed | None:
    """The parts, or None when this is no secret of ours or has a typo in it."""
    match = _SECRET.fullmatch(text)
    if match is None or _check(text[:-CHECK_LENGTH]) != text[-CHECK_LENGTH:]:
        return None
    return Parsed(match["prefix"], match["mode"], match["body"][:ID_LENGTH])


def hint(secret: str) -> str:
    """What people recognise a secret by."""
    return secret[-4:]


def fingerprint(secret: str) -> str:
    """SHA-256 as 64 hexadecimal digits: all that is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, stored: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(fingerprint(secret), stored)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _check(text: str) -> str:
    crc = zlib.crc32(text.encode())
    return "".join(ALPHABET[crc >> shift & 31] for shift in (25, 20, 15, 10, 5, 0))
