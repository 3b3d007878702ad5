"""A statement as a table for a spreadsheet (RFC 4180), and as plain data for JSON.

In the table every line has a balance: the one before it and its own amount.  A spreadsheet takes a
cell that begins with `=`, `+`, `-` or `@` for a formula, and notes are text that others wrote: such
a cell gets an apostrophe, unless it is a number.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from franking.money.amounts import plain_amount
from franking.money.statements.statement import Charge, Month, Movement, Statement

HEADER = (
    "date", "kind", "description", "reference", "messages", "units", "tier", "unit_price",
    "amount", "balance", "currency",
)  # fmt: skip
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

Row = dict[str, object]


def to_csv(statement: Statement) -> str:
    """Oldest first, from the opening balance to the closing one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, restval="")
    writer.writeheader()
    balance = statement.opening
    writer.writerow(_row(statement, statement.period, "opening", balance=balance))
    for _, row, amount in sorted(_lines(statement), key=lambda line: line[0]):
        balance += amount
        row |= {"amount": plain_amount(amount), "balance": plain_amount(balance)}
        row |= {"currency": statement.currency}
        writer.writerow({name: safe(value) for name, value in row.items()})
    writer.writerow(_row(statement, statement.last, "closing", balance=balance))
    return text.getvalue()


def plain(statement: Statement) -> dict[str, Any]:
    """Amounts in micro-units."""
    lists = {
        name: [_dated(dataclasses.asdict(each)) for each in getattr(statement, name)]
        for name in ("movements", "usage", "prices")
    }
    return plain_month(statement) | lists


def plain_month(month: Month) -> dict[str, Any]:
    """A line of `statement.months`."""
    data = _dated(dataclasses.asdict(month))
    return data | {"period": f"{month.period:%Y-%m}", "closing": month.closing}


def _row(statement: Statement, day: date, kind: str, *, balance: int) -> Row:
    return {
        "date": day.isoformat(), "kind": kind, "balance": plain_amount(balance),
        "currency": statement.currency,
    }  # fmt: skip


def _lines(statement: Statement) -> Iterator[tuple[datetime, Row, int]]:
    """(when, cells, amount); a day's messages stand at its end."""
    for movement in statement.movements:
        yield movement.at, _movement(movement), movement.amount
    for charge in statement.usage:
        assert charge.day is not None
        end = datetime.combine(charge.day, datetime.max.time(), UTC)
        if charge.units:
            yield end, _charge(charge), -charge.amount
        if charge.refunded:
            yield end, _refund(charge), charge.refunded


def _movement(movement: Movement) -> Row:
    return {
        "date": movement.at.date().isoformat(), "kind": movement.cause,
        "description": movement.note or "", "reference": movement.reference,
    }  # fmt: skip


def _charge(charge: Charge) -> Row:
    described = "messages included in the plan" if charge.tier == 0 else "messages"
    return _priced(charge, "charge", described) | {
        "messages": charge.messages, "units": charge.units
    }  # fmt: skip


def _refund(charge: Charge) -> Row:
    return _priced(charge, "refund", "messages that we could not deliver")


def _priced(charge: Charge, kind: str, description: str) -> Row:
    return {
        "date": charge.day, "kind": kind, "description": description, "tier": charge.tier,
        "unit_price": plain_amount(charge.unit_price),
    }  # fmt: skip


def safe(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _dated(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
    }


def filename(statement: Statement, extension: str) -> str:
    """`statement-acme-2026-10.csv`"""
    return f"statement-{statement.account}-{statement.period:%Y-%m}.{extension}"
