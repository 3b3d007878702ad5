"""Which envelope addresses pass; what is said of those that do not is in tests/dialogs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail.envelope import objection


@pytest.mark.parametrize(
    "address",
    [
        "a@b",
        "first.last+tag@example.com",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        "prvs=0123456789=user@example.com",
        "jörg@bücher.example",
        "用户@例子.广告",
        "a@sub_domain.example.com",
        "x" * 100 + "@example.com",
    ],
)
def test_plain(address: str) -> None:
    assert objection(address) is None


@pytest.mark.parametrize(
    "address",
    ["", "@", "a", "a@", "@b", '"a"@b', "a b@c", "a@b@c", "a@[192.0.2.1]", "a\n@b", "<a@b>"]
    + [f"a{c}b@example.com" for c in '\t\r\0\x7f\x85\u2028\u200b\u202e\ufffd ,:;<>()[]\\"@']
    + [f"a@b{c}c.example" for c in "\t\u2028\u200b ,:;<>()[]\\\"'@".replace("'", "")],
)
def test_not_plain(address: str) -> None:
    assert objection(address) is not None


@given(st.text())
def test_what_passes_cannot_end_its_field_in_the_log(text: str) -> None:
    """`to=<ADDRESS>, relay=…`: neither the bracket nor the comma, nor white space."""
    for address in (text, f"{text}@example.net", f"a@{text}"):
        if objection(address) is None:
            assert not set(address) & set('<>,"\\ \t\r\n\0') and address.count("@") == 1
