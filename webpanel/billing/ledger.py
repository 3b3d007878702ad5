"""`/billing/ledger`: every change of the balance, newest first, and the same as a CSV file."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.money import ledger, ledger_pages
from franking.money.amounts import plain_amount
from franking.money.ledger_pages import Cursor, Line, Wanted
from franking.money.statements.export import safe
from webpanel.billing import words
from webpanel.billing.forms import LedgerForm
from webpanel.billing.views import bp, subjects
from webpanel.database import reading

ROWS = 50
HEADER = ("time", "kind", "amount", "balance", "currency", "message", "reference", "note")
BROKEN_OFF = "ERROR: this file is not complete, the database did not answer. Download it again."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@bp.get("/ledger", endpoint="ledger")
def index() -> ResponseReturnValue:
    """Filters are in the URL; `before` is where the page starts."""
    account = current_user.account
    form = LedgerForm(request.args)
    wanted = form.wanted()
    before = request.args.get("before")
    after = _cursor(before)
    if after is not None and after.balance is None and not wanted.causes:
        after = None  # another filter's
    page = ledger_pages.page(reading, account, wanted, after, limit=ROWS)
    return render_template(
        "billing/ledger.html",
        form=form,
        lines=page.lines,
        subjects=subjects(page.lines),
        kinds=words.CAUSES,
        with_balance=not wanted.causes,
        before=before,
        older=_encoded(page.next) if page.next else None,
        filters=form.said(),
        balance=ledger.balance(reading, account.id),
        currency=account.plan.currency,
    )


@bp.get("/ledger.csv", endpoint="ledger_csv")
def download() -> ResponseReturnValue:
    """All lines that the same filters give, without pages.

    The answer has begun when a later part cannot be read: the file then says so in its last line.
    """
    account = current_user.account
    wanted = LedgerForm(request.args).wanted()
    lines = ledger_pages.every(reading, account, wanted)
    rows = stream_with_context(_rows(lines, account.plan.currency))
    name = f"ledger-{account.name}{_days(wanted)}.csv"
    return Response(
        rows,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _rows(lines: Iterator[Line], currency: str) -> Iterator[str]:
    yield _csv(HEADER)
    try:
        for line in lines:
            yield _csv(_cells(line, currency))
    except SQLAlchemyError as error:
        log.database_trouble("ledger.csv", error)
        yield _csv([BROKEN_OFF])


def _cells(line: Line, currency: str) -> list[object]:
    return [
        line.at.isoformat(timespec="seconds"),
        words.CAUSES[line.cause].lower(),
        plain_amount(line.amount),
        "" if line.balance is None else plain_amount(line.balance),
        currency,
        safe(line.queue_id or ""),
        safe(line.reference),
        safe(line.note or ""),
    ]


def _csv(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _days(wanted: Wanted) -> str:
    def name(day: date | None) -> str:
        return f"{day}" if day else ""

    return f"-{name(wanted.since)}_{name(wanted.until)}" if wanted.since or wanted.until else ""


def _encoded(cursor: Cursor) -> str:
    micros = (cursor.at - _EPOCH) // timedelta(microseconds=1)
    balance = "" if cursor.balance is None else cursor.balance
    plain = f"{micros}/{cursor.id}/{balance}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _cursor(text: str | None) -> Cursor | None:
    """None for the first page, and for what is none of our cursors."""
    try:
        plain = base64.urlsafe_b64decode((text or "") + "=" * (-len(text or "") % 4)).decode()
        micros, number, before = plain.split("/")
        at, row = _EPOCH + timedelta(microseconds=int(micros)), int(number)
        balance = int(before) if before else None
    except (binascii.Error, ValueError, OverflowError):
        return None
    known = 0 < row < 1 << 63 and at.year < 9000 and abs(balance or 0) < 1 << 63
    return Cursor(at, row, balance) if known else None
