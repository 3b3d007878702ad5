"""The catalogue: complete, bounded, and never an enhanced code without text."""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail import replies

PANEL = "https://panel.example.com"


@pytest.mark.parametrize("entry", replies.CATALOGUE.values(), ids=lambda e: e.key)
def test_every_entry_can_be_said(entry: replies.Entry) -> None:
    assert 400 <= entry.code <= 599
    assert entry.enhanced[0] == str(entry.code)[0]
    assert re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}", entry.enhanced)
    assert entry.text and entry.cause.endswith(".") and entry.fix.endswith(".")


def test_line_has_code_text_and_page() -> None:
    assert (
        replies.insufficient_balance().line(PANEL)
        == "554 5.7.1 Insufficient balance https://panel.example.com/e/insufficient_balance"
    )


def test_every_function_speaks_from_the_catalogue() -> None:
    made = {
        function(*["x"] * len(inspect.signature(function).parameters)).key
        for name, function in inspect.getmembers(replies, inspect.isfunction)
        if function.__module__ == replies.__name__
        and function.__annotations__["return"] == "Reply"
        and name != "_reply"
    }
    assert made == set(replies.CATALOGUE)


@given(st.text(max_size=2000))
def test_remote_text_cannot_leave_its_line(text: str) -> None:
    line = replies.from_not_verified(text).line(PANEL)
    assert len(line) <= 500
    assert line.isascii() and line.isprintable()
    assert line.endswith("/e/from_not_verified")
