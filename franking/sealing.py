"""Secrets at rest, under the settings' `master_key`: AES-256-GCM.

    version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag

The key id is the start of the master key's SHA-256: it says which master key sealed the value, so
that a new one can be introduced while old values wait to be sealed again (`franking.rewrap`); until
then the setting `old_master_key` opens them.  The context, such as
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
    """Seals with one master key of 32 bytes; opens with it, or with the one before it."""

    def __init__(self, master_key: bytes, old_master_key: bytes | None = None) -> None:
        self._head = _head(master_key)
        self._ciphers = {self._head: AESGCM(master_key)}
        if old_master_key is not None:
            self._ciphers.setdefault(_head(old_master_key), AESGCM(old_master_key))

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._head].encrypt(nonce, plaintext, self._head + context.encode())
        return self._head + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """What `seal` was given, with the same context; raises SealError."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        if head[:1] != _VERSION:
            raise SealError(f"sealed value has version {head[:1].hex() or 'none'}")
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise SealError("sealed with another master key")
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, head + context.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce and a tag
            raise SealError("sealed value is damaged or belongs to another row") from error

    def is_present(self, sealed: bytes) -> bool:
        """Whether the present master key has sealed it, not the one before."""
        return sealed.startswith(self._head)


def _head(master_key: bytes) -> bytes:
    """Which master key it is, without saying anything about it."""
    digest = hashlib.sha256(b"franking master key" + master_key).digest()
    return _VERSION + digest[:_KEY_ID_BYTES]


def sealer(settings: Settings) -> Sealer:
    """With the settings' master keys; raises SettingsError."""
    return Sealer(settings.master_key_bytes(), settings.old_master_key_bytes())


def for_credentials(settings: Settings) -> Sealer | None:
    """What keeps the secrets of credentials, where the operator lets customers see them again.

    Raises SettingsError.
    """
    return sealer(settings) if settings.credentials.reveal else None
