"""Secrets at rest; keys of domains are in tests/franking/domains/test_dkim.py."""

from __future__ import annotations

import pytest

from franking.sealing import Sealer, SealError

SEALER = Sealer(bytes(32))


def test_opens_in_its_context_only() -> None:
    sealed = SEALER.seal(b"secret", "credential:a")
    assert b"secret" not in sealed and sealed != SEALER.seal(b"secret", "credential:a")
    assert SEALER.open(sealed, "credential:a") == b"secret"
    with pytest.raises(SealError, match="another row"):
        SEALER.open(sealed, "credential:b")
    with pytest.raises(SealError, match="another master key"):
        Sealer(b"x" * 32).open(sealed, "credential:a")


def test_the_stored_format_has_not_changed() -> None:
    """Sealed by the release before there was this module."""
    sealed = bytes.fromhex(
        "015312b50ffa17b221a53cb56db0a5a110b6f65fe65615d5d682e3cd912d41fa8e48cbf79a5cdc3aa8d12739"
    )
    assert SEALER.open(sealed, "dkim_key:7:s2026q4") == b"private key"


def test_the_key_before_opens_and_does_not_seal() -> None:
    new = Sealer(b"n" * 32, bytes(32))
    old = SEALER.seal(b"secret", "c")
    assert new.open(old, "c") == b"secret"
    assert not new.is_present(old)
    sealed = new.seal(b"secret", "c")
    assert new.is_present(sealed) and Sealer(b"n" * 32).open(sealed, "c") == b"secret"
    with pytest.raises(SealError, match="another master key"):
        SEALER.open(sealed, "c")
    with pytest.raises(SealError, match="damaged"):
        new.open(old, "d")
