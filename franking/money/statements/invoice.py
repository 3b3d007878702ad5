"""Invoices: one for each account and month in which something was charged or given back.

Numbers run on without gaps: the next one is read under a lock that only the end of the transaction
releases, in which the invoice is stored, too.  What an invoice says is stored with it
(`document`), so that it prints the same after names, prices or taxes have changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import exists, func, select, text, union
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.money.billing.preferences import preferences
from franking.money.models import BY_HAND, LedgerEntry
from franking.money.statements import months
from franking.money.statements.config import Invoices
from franking.money.statements.document import Document, compose
from franking.money.statements.models import ChargeDay, Invoice
from franking.money.statements.statement import statement
from franking.money.terms import terms_of
from franking.notices import notices
from franking.reasons import Invalid, NotFound, Taken

# After a month: transactions that began before, nodes whose clocks are late.
MARGIN = timedelta(hours=1)


def issue(
    session: Session, settings: Invoices, account: Account, period: date, now: datetime
) -> Invoice:
    """Of the month that begins on `period`; on SQLite in a writing transaction.

    Raises Invalid when the month is not over or nobody is set who issues, Taken when it is issued,
    NotFound when there is nothing to invoice.
    """
    period = period.replace(day=1)
    if not settings.issuer_name:
        raise Invalid("the settings name no issuer of invoices (invoices.issuer_name)")
    if now < issuable_from(period):
        raise Invalid(f"{period:%Y-%m} can be invoiced from {issuable_from(period):%F %H:%M} UTC")
    number = _next_number(session, settings)
    if _issued(session, account.id, period):
        raise Taken(f"the invoice of {account.name} for {period:%Y-%m} is issued already")
    document = _document(
        session, settings, account, period=period, number=number, issued_on=now.date()
    )
    row = Invoice(
        number=number,
        account_id=account.id,
        period=document.period,
        issued_at=now,
        currency=document.currency,
        net=document.net,
        tax=document.tax,
        total=document.total,
        data=document.model_dump_json(),
    )
    session.add(row)
    session.flush()
    told = {
        "number": document.number,
        "period": f"{document.period:%Y-%m}",
        "net": document.net,
        "tax": document.tax,
        "total": document.total,
    }
    notices.give(session, account.id, "invoice.issued", told, now)
    return row


def issuable_from(period: date) -> datetime:
    """An hour after the month's end."""
    return months.start(months.following(period)) + MARGIN


def open_accounts(session: Session, period: date) -> list[int]:
    """Accounts with something to invoice for this month, and no invoice, in their order."""
    begin, end = months.start(period), months.start(months.following(period))
    charged = select(ChargeDay.account_id).where(
        ChargeDay.day >= period, ChargeDay.day < end.date()
    )
    paid_fee = exists().where(
        LedgerEntry.account_id == Account.id, text(BY_HAND), LedgerEntry.cause == "fee",
        LedgerEntry.at >= begin, LedgerEntry.at < end,
    )  # fmt: skip
    found = union(charged, select(Account.id).where(paid_fee)).subquery()
    done = exists().where(Invoice.account_id == found.c.account_id, Invoice.period == period)
    query = select(found.c.account_id).where(~done).order_by(found.c.account_id)
    return list(session.scalars(query))


def document(invoice: Invoice) -> Document:
    """What it says."""
    return Document.model_validate_json(invoice.data)


def get(session: Session, account_id: int, number: int) -> Invoice:
    """By its running number; NotFound, also when it is another account's."""
    query = select(Invoice).where(Invoice.number == number, Invoice.account_id == account_id)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"there is no invoice {number}")
    return found


def named(session: Session, text: str) -> Invoice:
    """For the operator: by what is printed on it, `FR-2026-000012`, or by its number, `12`."""
    for digits in re.findall(r"[0-9]{1,18}", text):
        found = session.scalar(select(Invoice).where(Invoice.number == int(digits)))
        if found is not None and text in {digits, document(found).number}:
            return found
    raise NotFound(f"there is no invoice {text!r}")


def listed(
    session: Session, account_id: int, *, before_number: int | None = None, limit: int = 50
) -> Sequence[Invoice]:
    """Newest first."""
    query = select(Invoice).where(Invoice.account_id == account_id)
    if before_number is not None:
        query = query.where(Invoice.number < before_number)
    return session.scalars(query.order_by(Invoice.number.desc()).limit(limit)).all()


def _next_number(session: Session, settings: Invoices) -> int:
    """SQLite has one writer at a time; on PostgreSQL the others wait here, readers do not."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE invoice IN SHARE ROW EXCLUSIVE MODE"))
    last = session.scalar(select(func.max(Invoice.number)))
    return settings.first_number if last is None else last + 1


def _issued(session: Session, account_id: int, period: date) -> bool:
    query = select(Invoice.id).where(Invoice.account_id == account_id, Invoice.period == period)
    return session.scalar(query) is not None


def _document(
    session: Session,
    settings: Invoices,
    account: Account,
    *,
    period: date,
    number: int,
    issued_on: date,
) -> Document:
    report = statement(session, account, period, months.start(months.following(period)))
    if report.difference:
        raise Invalid(
            f"daily totals and books of {account.name} differ by {report.difference} micro-units"
        )
    made = compose(
        report,
        settings,
        preferences(session, account.id),
        number=settings.number_text(number, issued_on),
        issued_on=issued_on,
        units=f"{terms_of(account.plan.terms).billing_unit}s",
    )
    if not any(line.amount for line in made.lines):
        raise NotFound(f"nothing was charged to {account.name} in {period:%Y-%m}")
    return made
