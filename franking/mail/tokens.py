"""What the tokens in our own addresses and links are made of.

A MAC says that we made one, without a database; 80 bits are enough, because each guess is a
request.  Base 32 in lower case: some servers change the case of an address, and queue IDs have
both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

MAC_LENGTH = 16  # characters of base 32: 80 bits


class Macs:
    """For one `purpose`: a MAC made for another proves nothing here."""

    def __init__(
        self, purpose: bytes, master_key: bytes, old_master_key: bytes | None = None
    ) -> None:
        """What was made with the old master key is ours, too."""
        self._keys = [
            hmac.digest(key, purpose, hashlib.sha256)
            for key in (master_key, old_master_key)
            if key is not None
        ]

    def of(self, text: str) -> str:
        return _mac(self._keys[0], text)

    def is_genuine(self, text: str, mac: str) -> bool:
        genuine = [
            hmac.compare_digest(mac.encode(), _mac(key, text).encode()) for key in self._keys
        ]
        return any(genuine)


def _mac(key: bytes, text: str) -> str:
    return base32(hmac.digest(key, text.encode(), hashlib.sha256))[:MAC_LENGTH]


def base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def from_base32(text: str) -> bytes:
    """Raises ValueError."""
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
