"""The catalogue: complete, bounded, and never an enhanced code without text."""

import inspect
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail import replies
from franking.mail.catalogue import CATALOGUE, Entry
from franking.reasons import CapReached

# These are explained here and said by Postfix itself.
POSTFIX_SAYS = {"plaintext_login", "relay_denied", "tls_required"}
PANEL = "https://panel.example.com"


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda e: e.key)
def test_every_entry_can_be_said(entry: Entry) -> None:
    assert 400 <= entry.code <= 599
    assert entry.enhanced[0] == str(entry.code)[0]
    assert re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}", entry.enhanced)
    assert entry.text and entry.cause.endswith(".") and entry.fix.endswith(".")


def test_line_has_code_text_and_page() -> None:
    assert (
        replies.insufficient_balance().line(PANEL)
        == "554 5.7.1 Insufficient balance https://panel.example.com/e/insufficient_balance"
    )


ARGUMENTS = {
    "int": 5,
    "date": date(2026, 11, 21),
    "bool": True,
    "InsufficientBalance | CapReached": CapReached("account"),
}


def test_every_function_speaks_from_the_catalogue() -> None:
    made = {replies.rate_limited("5 messages per day", 3).key}  # and below, permanently
    for name, function in inspect.getmembers(replies, inspect.isfunction):
        said = function.__annotations__.get("return") == "Reply"
        if function.__module__ == replies.__name__ and said and name != "_reply":
            signature = inspect.signature(function)
            values = {n: ARGUMENTS.get(p.annotation, "x") for n, p in signature.parameters.items()}
            made.add(function(**values).key)
    assert made == set(CATALOGUE) - POSTFIX_SAYS


def test_the_compatible_profile_says_450() -> None:
    line = replies.data_invalid(["one", "two"], 450).line(PANEL)
    assert line.startswith("450 4.6.0 The given data was invalid. one,two https://")


@given(st.text(max_size=2000))
def test_remote_text_cannot_leave_its_line(text: str) -> None:
    line = replies.from_not_verified(text).line(PANEL)
    assert len(line) <= 500
    assert line.isascii() and line.isprintable()
    assert line.endswith("/e/from_not_verified")
