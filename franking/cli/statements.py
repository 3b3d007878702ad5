"""`franking statement`: what an account had, paid and used in a month."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)
from franking.db import utcnow
from franking.money.amounts import format_amount, plain_amount
from franking.money.pricing import period_of
from franking.money.statements import export, months
from franking.money.statements import statement as statements
from franking.money.statements.statement import Charge, Statement
from franking.reasons import Invalid


class MonthType(click.ParamType[date]):
    """A month such as 2026-10, as the date of its first day."""

    name = "YYYY-MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        if isinstance(value, date):
            return value
        try:
            return months.parse(str(value))
        except Invalid as reason:
            self.fail(str(reason), param, ctx)


month_option = click.option("--month", type=MonthType(), help="Default: this month.")
output_option = click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file."
)

LINES = ("deposits", "reversals", "charges", "refunds", "fees", "adjustments")


@click.group()
def statement() -> None:
    """Show what an account had, paid and used in a month."""


@statement.command("show")
@account_option
@month_option
@json_option
@click.pass_obj
def show(context: Context, account_name: str | None, month: date | None, as_json: bool) -> None:
    """Show one month: balances, movements, messages by price."""
    report = _report(context, account_name, month)
    emit(export.plain(report), as_json, lambda: _human(report))


@statement.command("csv")
@account_option
@month_option
@output_option
@click.pass_obj
def csv(
    context: Context, account_name: str | None, month: date | None, output: Path | None
) -> None:
    """Print one month as CSV, one line for each movement and each day's messages."""
    text = export.to_csv(_report(context, account_name, month))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="")


@statement.command("list")
@account_option
@click.option("--limit", default=12, show_default=True, help="How many months.")
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, limit: int, as_json: bool) -> None:
    """List the latest months with their sums."""
    with context.session() as session:
        account = the_account(session, account_name)
        rows = statements.months(session, account, utcnow(), limit=limit)
        currency = account.plan.currency
    header = ("month", "opening", *LINES, "closing", "")
    emit(
        [export.plain_month(row) | {"currency": currency} for row in rows],
        as_json,
        lambda: table(
            header,
            [
                (
                    f"{row.period:%Y-%m}", plain_amount(row.opening),
                    *(plain_amount(getattr(row, name)) for name in LINES),
                    plain_amount(row.closing), currency,
                )
                for row in rows
            ],
        ),
    )  # fmt: skip


def _report(context: Context, account_name: str | None, month: date | None) -> Statement:
    now = utcnow()
    with context.session() as session:
        account = the_account(session, account_name)
        return statements.statement(session, account, month or period_of(now), now)


def _human(report: Statement) -> str:
    def money(micros: int) -> str:
        return format_amount(micros, report.currency)

    sums = [("opening balance", report.opening)]
    sums += [(name, getattr(report, name)) for name in LINES if getattr(report, name)]
    sums += [("closing balance" if report.over else "balance now", report.closing)]
    if report.held is not None:
        sums += [("of that, held for mail in progress", report.held)]
    parts = [f"{report.account}, {report.period:%Y-%m}"]
    parts += [f"  {name}: {money(amount)}" for name, amount in sums]
    if report.difference:
        parts.append(f"  wrong by {money(report.difference)}: franking ledger verify")
    if report.movements:
        rows = [(m.at, m.cause, plain_amount(m.amount), m.note) for m in report.movements]
        parts += ["", table(("at", "movement", "amount", "note"), rows)]
    if report.prices:
        header = ("tier", "unit price", "messages", "units", "amount", "refunded")
        parts += ["", table(header, [_price(price) for price in report.prices])]
    return "\n".join(parts)


def _price(price: Charge) -> tuple[object, ...]:
    return (
        price.tier or "included", plain_amount(price.unit_price), price.messages, price.units,
        plain_amount(price.amount), plain_amount(price.refunded),
    )  # fmt: skip


def register(group: click.Group) -> None:
    group.add_command(statement)
