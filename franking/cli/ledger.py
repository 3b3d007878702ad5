"""`franking ledger`, `franking adjust`: the books, and corrections by hand."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import Any

import click

from franking.accounts import audit
from franking.cli.accounts import describe
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    note_option,
    table,
    the_account,
)
from franking.money import ledger as books
from franking.money import ledger_pages, verification
from franking.money.amounts import format_amount, parse_amount
from franking.money.ledger_pages import CAUSES, Line, Wanted

WIDEST_ABOUT = 36


@click.group("ledger")
def ledger() -> None:
    """Look at the books."""


def _describe(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": line.at,
        "cause": line.cause,
        "amount_micros": line.amount,
        "balance_micros": line.balance,
        "reference": line.reference,
        "queue_id": line.queue_id,
        "note": line.note,
        "event_id": line.event_id,
    }


def _about(line: Line) -> str:
    name = line.queue_id or line.deposit or line.reference.partition(":")[2]
    return (f"{name}: {line.note}" if line.note else name)[:WIDEST_ABOUT]


@ledger.command("list")
@click.option("--cause", "causes", multiple=True, type=click.Choice(CAUSES), help="Only these.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000_000))
@account_option
@json_option
@click.pass_obj
def list_(
    context: Context, causes: tuple[str, ...], limit: int, account_name: str | None, as_json: bool
) -> None:
    """List what changed an account's balance, the newest first.

    The balance is what was there afterwards, with what is held for mail in progress.
    """
    with context.snapshot() as session:
        account = the_account(session, account_name)
        currency = account.plan.currency
        lines = list(islice(ledger_pages.every(session, account, Wanted(causes)), limit))
    data = {"account": account.name, "currency": currency, "lines": [_describe(x) for x in lines]}
    emit(
        data,
        as_json,
        lambda: table(
            ("at", "cause", f"amount {currency}", "balance", "about"),
            [(x.at, x.cause, _bare(x.amount), _bare(x.balance), _about(x)) for x in lines],
        ),
    )


def _bare(micros: int | None) -> str | None:
    """Without the currency, which the header has."""
    return None if micros is None else format_amount(micros, "").strip()


@ledger.command("verify")
@json_option
@click.pass_obj
def verify(context: Context, as_json: bool) -> None:
    """Recompute every balance from the entries; exit 1 and say what differs first."""
    with context.snapshot() as session:
        problems = verification.verify(session)
    data = {"ok": not problems, "problems": problems}
    emit(data, as_json, lambda: _verdict(problems))
    if problems:
        raise click.exceptions.Exit(1)


def _verdict(problems: list[str]) -> str:
    if not problems:
        return "every balance matches its entries"
    more = len(problems) - 1
    return problems[0] + (f"\n(and {more} more; --json lists them)" if more else "")


# A negative amount is no option.
@click.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("amount")
@note_option("Why; it is on the statement.")
@account_option
@json_option
@click.pass_obj
def adjust(
    context: Context, *, amount: str, note: str, account_name: str | None, as_json: bool
) -> None:
    """Add AMOUNT (such as 5.00 or -5.00) to a balance, below zero if need be."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        micros, key = parse_amount(amount), str(uuid.uuid4())
        books.adjust(session, account.id, micros, reference=key, note=note)
        audit.record(
            session, account.id, context.actor, "money.adjust",
            amount_micros=micros, reference=key, note=note,
        )  # fmt: skip
        data = describe(session, account) | {"amount_micros": micros, "reference": key}
    changed = format_amount(micros, data["currency"])
    left = format_amount(data["available_micros"], data["currency"])
    emit(data, as_json, lambda: f"{data['account']}: {changed}, {left} available")


def register(group: click.Group) -> None:
    for command in (ledger, adjust):
        group.add_command(command)
