"""The table in docs/contract.md is current and complete."""

from __future__ import annotations

from tests.contract.__main__ import DOCUMENT, document, shown
from tests.contract.rows import NOT_SMTP, PROMISES


def test_the_document_is_current() -> None:
    """If not: python -m tests.contract."""
    assert DOCUMENT.read_text() == document()


def test_every_row_has_a_test_or_a_reason() -> None:
    tests = shown()
    assert set(tests) <= set(PROMISES)
    assert {row for row in PROMISES if row not in tests and row not in NOT_SMTP} == set()
    assert set(tests) & set(NOT_SMTP) == set()
