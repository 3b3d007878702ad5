"""`/billing/statements`: months with their balances, one month in full, CSV files and invoices."""

from __future__ import annotations

from datetime import date

from flask import Response, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.money.statements import export, invoice, months, statement
from franking.money.statements.statement import Statement
from franking.reasons import Invalid, NotFound
from webpanel.billing import words
from webpanel.billing.views import bp, own_id, settings
from webpanel.database import reading

MONTHS = 36


@bp.get("/statements", endpoint="statements")
def index() -> ResponseReturnValue:
    account = current_user.account
    invoices = invoice.listed(reading, account.id, limit=MONTHS)
    return render_template(
        "billing/statements.html",
        months=statement.months(reading, account, utcnow(), limit=MONTHS),
        invoices={row.period: (row, invoice.document(row).number) for row in invoices},
        issued=bool(settings().invoices.issuer_name),
        currency=account.plan.currency,
    )


@bp.get("/statements/<period>", endpoint="statement")
def show(period: str) -> ResponseReturnValue:
    return render_template(
        "billing/statement.html",
        statement=_statement(period),
        kinds=words.CAUSES,
        currency=current_user.account.plan.currency,
    )


@bp.get("/statements/<period>.csv", endpoint="statement_csv")
def download(period: str) -> ResponseReturnValue:
    found = _statement(period)
    return _file(export.to_csv(found).encode(), "text/csv; charset=utf-8", _name(found))


@bp.get("/invoices/<int:number>.pdf", endpoint="invoice_pdf")
def invoice_file(number: int) -> ResponseReturnValue:
    from franking.money.statements import pdf  # noqa: PLC0415 (takes 0.2 s)

    if own_id(number) is None:
        raise NotFound(f"there is no invoice {number}")
    row = invoice.get(reading, current_user.account_id, number)
    document = invoice.document(row)
    data = pdf.render(document, settings().invoices)
    return _file(data, "application/pdf", f"invoice-{document.number}.pdf")


def _statement(period: str) -> Statement:
    return statement.statement(reading, current_user.account, _month(period), utcnow())


def _month(text: str) -> date:
    """An address that names no month does not exist."""
    try:
        return months.parse(text)
    except Invalid as reason:
        raise NotFound(str(reason)) from reason


def _name(found: Statement) -> str:
    return export.filename(found, "csv")


def _file(data: bytes, content_type: str, name: str) -> Response:
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(data, content_type=content_type, headers=headers)
