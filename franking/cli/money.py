"""`franking topup`, `franking balance`, `franking ledger`: money."""

from __future__ import annotations

import uuid
from typing import Any

import click

from franking.accounts import audit
from franking.cli.accounts import describe
from franking.cli.context import Context, account_option, emit, json_option, the_account
from franking.money import ledger as books
from franking.money.amounts import format_amount, parse_amount


def _human(data: dict[str, Any]) -> str:
    available = format_amount(data["available_micros"], data["currency"])
    held = format_amount(data["held_micros"], data["currency"])
    return f"{data['account']}: {available} available, {held} held"


@click.command("topup")
@click.argument("amount")
@click.option("--note", help="For the statement, e.g. a bank reference.")
@click.option("--reference", help="The same reference twice is booked once; default: a new one.")
@account_option
@json_option
@click.pass_obj
def topup(
    context: Context,
    *,
    amount: str,
    note: str | None,
    reference: str | None,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Credit AMOUNT (such as 12.50, in the plan's currency) to an account."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        micros = parse_amount(amount)
        key = reference or str(uuid.uuid4())
        books.deposit(session, account.id, micros, reference=f"manual/{key}", note=note)
        audit.record(
            session, account.id, context.actor, "money.topup", amount_micros=micros, reference=key
        )
        data = describe(session, account)
    emit(data, as_json, lambda: _human(data))


@click.command("balance")
@account_option
@json_option
@click.pass_obj
def balance(context: Context, account_name: str | None, as_json: bool) -> None:
    """Show what an account has available and what is held for mail in progress."""
    with context.session() as session:
        data = describe(session, the_account(session, account_name))
    emit(data, as_json, lambda: _human(data))


@click.group("ledger")
def ledger() -> None:
    """Look at the books."""


@ledger.command("verify")
@json_option
@click.pass_obj
def verify(context: Context, as_json: bool) -> None:
    """Recompute every balance from the entries; exit 1 and say what differs."""
    with context.session() as session:
        problems = books.verify(session)
    data = {"ok": not problems, "problems": problems}
    emit(data, as_json, lambda: "\n".join(problems) or "every balance matches its entries")
    if problems:
        raise click.exceptions.Exit(1)


def register(group: click.Group) -> None:
    for command in (topup, balance, ledger):
        group.add_command(command)
