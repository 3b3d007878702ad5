"""`franking topup`, `franking deposit`: money that comes in, and payments that are taken back."""

from __future__ import annotations

import uuid
from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.cli.accounts import describe as describe_account
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.money.amounts import format_amount, parse_amount
from franking.money.deposits import deposits, manual
from franking.money.deposits.models import STATES, Deposit


@click.command("topup")
@click.argument("amount")
@click.option("--note", help="For the statement.")
@click.option("--reference", help="The bank's; the same twice is booked once. Default: a new one.")
@click.option("--deposit", "asked", help="The pending bank transfer (D-…) that this pays.")
@account_option
@json_option
@click.pass_obj
def topup(
    context: Context,
    *,
    amount: str,
    note: str | None,
    reference: str | None,
    asked: str | None,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Credit AMOUNT (such as 12.50, in the plan's currency) to an account."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = manual.credit(
            session,
            account,
            parse_amount(amount),
            reference=reference or str(uuid.uuid4()),
            actor=context.actor,
            note=note,
            asked=asked,
        )
        data = describe_account(session, account) | {"deposit": made.reference}
    emit(data, as_json, lambda: _balance(data))


def _balance(data: dict[str, Any]) -> str:
    available = format_amount(data["available_micros"], data["currency"])
    held = format_amount(data["held_micros"], data["currency"])
    return f"{data['account']}: {available} available, {held} held, deposit {data['deposit']}"


@click.group("deposit")
def deposit() -> None:
    """Look at payments, and take them back."""


def describe(session: Session, row: Deposit) -> dict[str, Any]:
    return {
        "deposit": row.reference,
        "account": session.get_one(Account, row.account_id).name,
        "provider": row.provider,
        "state": row.state,
        "currency": row.currency,
        "amount_micros": row.amount,
        "paid_micros": row.paid,
        "taken_back_micros": row.taken_back,
        "reversed_micros": row.reversed,
        "credited_micros": row.credited,
        "automatic": row.automatic,
        "provider_reference": row.provider_reference,
        "payment_reference": row.payment_reference,
        "note": row.note,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
    }


@deposit.command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--account", "-a", "account_name", help="Only of this account.")
@json_option
@click.pass_obj
def list_(
    context: Context, state: str | None, limit: int, account_name: str | None, as_json: bool
) -> None:
    """List payments, newest first."""
    with context.session() as session:
        account = the_account(session, account_name).id if account_name else None
        found = deposits.listed(session, account, state=state, limit=limit)
        rows = [describe(session, row) for row in found]
    header = ("deposit", "account", "provider", "state", "asked", "credited", "created")
    emit(
        rows,
        as_json,
        lambda: table(
            header,
            [
                (
                    r["deposit"],
                    r["account"],
                    r["provider"],
                    r["state"],
                    format_amount(r["amount_micros"], r["currency"]),
                    format_amount(r["credited_micros"], r["currency"]),
                    r["created_at"],
                )
                for r in rows
            ],
        ),
    )


@deposit.command("show")
@click.argument("reference")
@json_option
@click.pass_obj
def show(context: Context, reference: str, as_json: bool) -> None:
    """Show the payment REFERENCE (D-…)."""
    with context.session() as session:
        data = describe(session, deposits.get(session, None, reference))
    emit(data, as_json, lambda: _lines(data))


def _lines(data: dict[str, Any]) -> str:
    lines = [f"{data['deposit']} of {data['account']}, by {data['provider']}: {data['state']}"]
    for name in ("amount", "paid", "taken_back", "reversed", "credited"):
        amount = format_amount(data[f"{name}_micros"], data["currency"])
        lines.append(f"  {name.replace('_', ' ')}: {amount}")
    others = ("provider_reference", "payment_reference", "note", "created_at", "settled_at")
    lines += [f"  {name.replace('_', ' ')}: {data[name]}" for name in others if data[name]]
    return "\n".join(lines)


@deposit.command("reverse")
@click.argument("reference")
@click.argument("amount", required=False)
@click.option("--note", required=True, help="Why; the customer sees it on the statement.")
@json_option
@click.pass_obj
def reverse(context: Context, reference: str, amount: str | None, note: str, as_json: bool) -> None:
    """Take the payment REFERENCE back, or only AMOUNT of it.

    The balance may fall below zero. Card payments are refunded at Stripe instead.
    """
    with context.transaction() as session:
        row = deposits.get(session, None, reference)
        micros = parse_amount(amount) if amount is not None else None
        deposits.reverse(session, row, micros, note=note, actor=context.actor)
        data = describe(session, row)
    emit(data, as_json, lambda: _lines(data))


def register(group: click.Group) -> None:
    for command in (topup, deposit):
        group.add_command(command)
