"""`franking invoice`: issue, list and print invoices."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)
from franking.cli.statements import MonthType
from franking.db import utcnow
from franking.money.pricing import period_of
from franking.money.statements import invoice as invoices
from franking.money.statements import months
from franking.money.statements.models import Invoice
from franking.money.statements.rounding import payable


@click.group()
def invoice() -> None:
    """Issue, list and print invoices."""


def describe(row: Invoice) -> dict[str, Any]:
    said = invoices.document(row)
    return {
        "number": row.number,
        "invoice": said.number,
        "account": said.account,
        "month": f"{row.period:%Y-%m}",
        "issued_at": row.issued_at,
        "currency": row.currency,
        "net_micros": row.net,
        "tax_micros": row.tax,
        "total_micros": row.total,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    return table(
        ("invoice", "account", "month", "issued", "net", "tax", "total", ""),
        [
            (
                row["invoice"], row["account"], row["month"], row["issued_at"],
                *(payable(row[f"{name}_micros"], row["currency"])
                  for name in ("net", "tax", "total")),
                row["currency"],
            )
            for row in rows
        ],
    )  # fmt: skip


@invoice.command("issue")
@account_option
@click.option("--all", "every", is_flag=True, help="For all accounts that were charged something.")
@click.option("--month", type=MonthType(), help="Default: last month.")
@json_option
@click.pass_obj
def issue(
    context: Context, account_name: str | None, *, every: bool, month: date | None, as_json: bool
) -> None:
    """Issue invoices for a month that is over; the worker does so by itself for the last one."""
    period = month or months.preceding(period_of(utcnow()))
    if every and account_name is not None:
        raise click.UsageError("either --all or --account")
    with context.snapshot() as session:
        chosen = (
            invoices.open_accounts(session, period)
            if every
            else [the_account(session, account_name).id]
        )
    rows = []
    for account_id in chosen:
        with context.transaction() as session:
            rows.append(_issue(context, session, account_id, period))
    emit(rows if every else rows[0], as_json, lambda: _table(rows))


def _issue(context: Context, session: Session, account_id: int, period: date) -> dict[str, Any]:
    account = session.get_one(Account, account_id)
    row = invoices.issue(session, context.settings.invoices, account, period, utcnow())
    data = describe(row)
    audit.record(
        session, account_id, context.actor, "invoice.issue", invoice=data["invoice"],
        month=data["month"],
    )  # fmt: skip
    return data


@invoice.command("list")
@account_option
@click.option("--limit", default=50, show_default=True)
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, limit: int, as_json: bool) -> None:
    """List an account's invoices, newest first."""
    with context.session() as session:
        account = the_account(session, account_name)
        rows = [describe(row) for row in invoices.listed(session, account.id, limit=limit)]
    emit(rows, as_json, lambda: _table(rows))


@invoice.command("pdf")
@click.argument("number")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file; - is standard output.  Default: the invoice's number and .pdf.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what it says as JSON instead.")
@click.pass_obj
def pdf(context: Context, number: str, *, output: Path | None, as_json: bool) -> None:
    """Print the invoice NUMBER (12 or FR-2026-000012) as PDF."""
    from franking.money.statements.pdf import render  # noqa: PLC0415 (slow, for this alone)

    with context.session() as session:
        said = invoices.document(invoices.named(session, number))
        if as_json:
            emit(said.model_dump(mode="json"), as_json, str)
            return
        printed = render(said, context.settings.invoices)
    if output == Path("-"):
        click.echo(printed, nl=False)
        return
    target = output or Path(f"{said.number.replace('/', '-')}.pdf")
    target.write_bytes(printed)
    click.echo(target)


def register(group: click.Group) -> None:
    group.add_command(invoice)
