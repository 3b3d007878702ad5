"""Envelope senders of our own: `bounce+<token>@<bounce domain>`, one for each message.

A customer's domain may have a bounce domain of its own, a CNAME to ours: SPF is then aligned with
the From domain (RFC 7489 §3.1.2).

The token is the queue ID and a MAC over it, so that a forged report about a message is known for
one.  Base 32 in lower case: some servers change the case of an address, and queue IDs have both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from franking.settings import Settings

START = "bounce+"
_MAC = 16  # characters of base 32: 80 bits


class ReturnPaths:
    def __init__(self, master_key: bytes, domain: str, old_master_key: bytes | None = None) -> None:
        """`domain` in A-labels.  Addresses made with the old master key are ours, too."""
        self.domain = domain
        self._keys = [
            hmac.digest(key, b"return path", hashlib.sha256)
            for key in (master_key, old_master_key)
            if key is not None
        ]

    @classmethod
    def of(cls, settings: Settings) -> ReturnPaths | None:
        """None without a bounce domain; raises SettingsError."""
        domain = settings.bounces.domain
        if not domain:
            return None
        return cls(settings.master_key_bytes(), domain, settings.old_master_key_bytes())

    def address(self, queue_id: str, own_domain: str | None = None) -> str:
        """The envelope sender of this message; `own_domain` is a customer's that leads here."""
        domain = own_domain or self.domain
        return f"{START}{_base32(queue_id.encode())}-{_mac(self._keys[0], queue_id)}@{domain}"

    def queue_id(self, address: str) -> str | None:
        """The message that this is the return path of; None when we never made it."""
        local, _, domain = address.lower().rpartition("@")
        encoded, dash, mac = local.removeprefix(START).partition("-")
        if domain != self.domain or not local.startswith(START) or not dash:
            return None
        try:
            padded = encoded.upper() + "=" * (-len(encoded) % 8)
            queue_id = base64.b32decode(padded).decode("ascii")
        except ValueError:
            return None
        genuine = [
            hmac.compare_digest(mac.encode(), _mac(key, queue_id).encode()) for key in self._keys
        ]
        return queue_id if any(genuine) else None


def _mac(key: bytes, queue_id: str) -> str:
    return _base32(hmac.digest(key, queue_id.encode(), hashlib.sha256))[:_MAC]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()
