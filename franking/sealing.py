"""Secrets at rest, under the settings' `master_key`: AES-256-GCM.

    version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag

The key id is the start of the master key's SHA-256: it says which master key sealed the value, so
that a new one can be introduced while old values wait to be sealed again.  The context, such as
the row that the value belongs to, is authenticated with it: a sealed value that is copied to
another row does not open.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from franking.settings import Settings

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class SealError(Exception):
    """A sealed value cannot be opened: another master key, another row, or damaged bytes."""


class Sealer:
    """Seals and opens with one master key of 32 bytes."""

    def __init__(self, master_key: bytes) -> None:
        self._cipher = AESGCM(master_key)
        # Which master key it is, without saying anything about it.
        digest = hashlib.sha256(b"franking master key" + master_key).digest()
        self._head = _VERSION + digest[:_KEY_ID_BYTES]

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plaintext, self._head + context.encode())
        return self._head + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """What `seal` was given, with the same context; raises SealError."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        if head[:1] != _VERSION:
            raise SealError(f"sealed value has version {head[:1].hex() or 'none'}")
        if head != self._head:
            raise SealError("sealed with another master key")
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, head + context.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce and a tag
            raise SealError("sealed value is damaged or belongs to another row") from error


def for_credentials(settings: Settings) -> Sealer | None:
    """What keeps the secrets of credentials, where the operator lets customers see them again.

    Raises SettingsError.
    """
    return Sealer(settings.master_key_bytes()) if settings.credentials.reveal else None
