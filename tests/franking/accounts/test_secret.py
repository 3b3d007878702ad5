"""The form of user names and secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.accounts import secret


@given(st.sampled_from(["frank", "mom", "a1"]), st.sampled_from(["live", "test"]))
def test_what_is_generated_parses(prefix: str, mode: str) -> None:
    username, text = secret.generate(prefix, mode)
    parsed = secret.parse(text)
    assert parsed is not None
    assert (parsed.prefix, parsed.mode, parsed.username) == (prefix, mode, username)
    assert len(username) == len(prefix) + 1 + 10
    assert secret.matches(text, secret.fingerprint(text))


@given(st.integers(0, 200), st.sampled_from(secret.ALPHABET))
def test_one_wrong_character_is_noticed(position: int, character: str) -> None:
    _, text = secret.generate("frank", "live")
    position = len("frank_live_") + position % (len(text) - len("frank_live_"))
    typo = text[:position] + character + text[position + 1 :]
    assert typo == text or secret.parse(typo) is None


@pytest.mark.parametrize("text", ["", "frank_live_", "frank_live_" + "a" * 48, "x" * 10_000])
def test_strangers_are_not_parsed(text: str) -> None:
    assert secret.parse(text) is None


def test_secrets_differ() -> None:
    assert len({secret.generate("frank", "live")[1] for _ in range(1000)}) == 1000
