"""The From parser: a table of cases, and what must hold for any bytes at all."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import getaddresses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.domains.names import to_ascii
from franking.mail.address import AddressError, parse_from

CASES = Path(__file__).parents[2] / "data/from/cases.txt"
LINE = re.compile(r"(u?)([+-]) (.*?) \|(.*)")


def cases() -> list[tuple[bool, str, str, bytes]]:
    lines = [line for line in CASES.read_text().splitlines() if line and line[0] != "#"]
    parsed = [LINE.fullmatch(line) for line in lines]
    return [
        (m[1] == "u", m[2], _unescaped(m[3]).decode("latin-1"), _unescaped(m[4]))
        for m in parsed
        if m is not None
    ]


def _unescaped(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def test_the_table_is_read_whole() -> None:
    lines = [line for line in CASES.read_text().splitlines() if line and line[0] != "#"]
    assert len(cases()) == len(lines) > 80


@pytest.mark.parametrize(("smtputf8", "sign", "expected", "value"), cases())
def test_case(smtputf8: bool, sign: str, expected: str, value: bytes) -> None:
    if sign == "+":
        assert parse_from([value], smtputf8=smtputf8).address == expected
    else:
        with pytest.raises(AddressError, match=re.escape(expected)):
            parse_from([value], smtputf8=smtputf8)


def test_there_must_be_exactly_one_header() -> None:
    with pytest.raises(AddressError, match="no From header"):
        parse_from([], smtputf8=False)
    with pytest.raises(AddressError, match="2 From headers"):
        parse_from([b" a@example.com", b" a@example.com"], smtputf8=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"a@example.com", ""),
        (b'"Smith, \\"J\\"" <a@example.com>', 'Smith, "J"'),
        (b"=?utf-8?q?K=C3=A4se?= =?utf-8?q?_laden?= <a@example.com>", "Käse laden"),
        (b"=?nope?q?x?= <a@example.com>", "=?nope?q?x?="),
    ],
)
def test_display_name(value: bytes, shown: str) -> None:
    assert parse_from([value], smtputf8=False).display == shown


def test_lengths() -> None:
    for value in (
        b"a" * 65 + b"@example.com",
        b"a@" + b".".join([b"b" * 60] * 5) + b".example",
        b"x" * 2000 + b" <a@example.com>",
    ):
        with pytest.raises(AddressError, match=r"longer|not a valid"):
            parse_from([value], smtputf8=False)


@given(
    st.lists(
        st.sampled_from(
            [b"a", b"@", b"example.com", b"other.example", b"<", b">", b'"', b"\\", b"(", b")",
             b",", b":", b";", b" ", b"\t", b"\r\n", b"\n ", b".", b"=?utf-8?q?x?=", b"\x00",
             "ä".encode(), b"[", b"]"]
        ),
        max_size=12,
    ).map(b"".join),
    st.booleans(),
)  # fmt: skip
def test_whatever_passes_has_one_address_and_it_is_that_one(value: bytes, smtputf8: bool) -> None:
    try:
        mailbox = parse_from([value], smtputf8=smtputf8)
    except AddressError as error:
        assert "," not in str(error)  # the reply joins errors with commas
        return
    assert to_ascii(mailbox.domain) == mailbox.domain
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", value)
    assert bare.count(b"@") == 1
    assert bare.count(b"<") == bare.count(b">") <= 1
    assert mailbox.local.encode() + b"@" in bare


TRICKS = st.lists(
    st.sampled_from(
        [b"a", b"@", b"<", b">", b'"', b"\\", b"(", b")", b",", b":", b";", b" ", b"\t", b"\r\n ",
         b".", b"=", b"?", b"_", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"=40bank.example", b"=3C",
         b"YUBiYW5rLmV4YW1wbGU=", b"=?utf-8?q?a=40bank=2Eexample?=", b"*en", b"a@bank.example",
         b"=?us-ascii?b?YUBiYW5rLmV4YW1wbGU=?=", b"a@example.com", b"<a@example.com>"]
    ),
    max_size=9,
).map(b"".join)  # fmt: skip


@given(TRICKS, st.sampled_from([b"", b"<a@example.com>", b" <a@example.com>"]))
def test_who_guesses_sees_the_same_author(value: bytes, end: bytes) -> None:
    """Python's two parsers see our author or fail; neither sees the bank."""
    try:
        mailbox = parse_from([b" " + value + end], smtputf8=False)
    except AddressError:
        return
    text = b"From: " + value + end + b"\r\n\r\n"
    for policy in (email.policy.compat32, email.policy.default):
        with contextlib.suppress(AttributeError, TypeError, IndexError, HeaderParseError):
            seen = str(email.message_from_bytes(text, policy=policy)["From"])
            assert {address for _, address in getaddresses([seen])} <= {"", mailbox.address}
            parts = (part for part, _ in decode_header(seen))
            shown = "".join(p if isinstance(p, str) else p.decode("latin-1") for p in parts)
            assert mailbox.domain == "bank.example" or "@bank.example" not in shown


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_it_fail_otherwise(value: bytes, smtputf8: bool) -> None:
    with contextlib.suppress(AddressError):
        parse_from([value], smtputf8=smtputf8)
