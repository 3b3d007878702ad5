"""`franking reservations`: money that is set aside, and what could not be settled by evidence."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.cli.context import Context, emit, json_option, note_option, table
from franking.db import utcnow
from franking.mail import unsettled
from franking.mail.unsettled import Verdict
from franking.money import reservations as money
from franking.money.amounts import format_amount
from franking.money.models import Reservation

WIDEST_EVIDENCE = 30


@click.group()
def reservations() -> None:
    """List money that is set aside; settle what could not be settled."""


def _describe(session: Session, row: Reservation) -> dict[str, Any]:
    account = session.get_one(Account, row.account_id)
    return {
        "node": row.node,
        "queue_id": row.queue_id,
        "account": account.name,
        "state": row.state,
        "amount_micros": row.amount,
        "currency": account.plan.currency,
        "units": row.units,
        "reserved_at": row.reserved_at,
        "settled_at": row.settled_at,
        "evidence": row.evidence,
    }


@reservations.command("list")
@click.option(
    "--state",
    type=click.Choice(["unknown", "waiting", "reserved"]),
    default="unknown",
    show_default=True,
    help="unknown: to be settled by you. waiting: for a deposit. reserved: not settled yet.",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@click.pass_obj
def list_(context: Context, state: str, limit: int, as_json: bool) -> None:
    """List those in one state on all nodes, the oldest first."""
    with context.session() as session:
        rows = [_describe(session, row) for row in money.listed(session, state, limit)]
    emit(
        rows,
        as_json,
        lambda: table(
            ("node", "queue id", "account", "amount", "since", "why"),
            [
                (
                    r["node"],
                    r["queue_id"],
                    r["account"],
                    format_amount(r["amount_micros"], r["currency"]),
                    f"{r['reserved_at']:%m-%d %H:%M}",
                    (r["evidence"] or "")[:WIDEST_EVIDENCE],
                )
                for r in rows
            ],
        ),
    )


@reservations.command("settle")
@click.argument("node")
@click.argument("queue_id")
@click.option(
    "--as",
    "verdict",
    required=True,
    type=click.Choice(["captured", "voided"]),
    help="captured: it was sent, take the money. voided: it was not, give it back.",
)
@note_option("How you know; for the audit trail.")
@json_option
@click.pass_obj
def settle(
    context: Context, *, node: str, queue_id: str, verdict: Verdict, note: str, as_json: bool
) -> None:
    """Settle the unknown reservation of QUEUE_ID on NODE."""
    with context.transaction() as session:
        row = unsettled.settle(session, node, queue_id, verdict, note=note, now=utcnow())
        data = _describe(session, row)
        audit.record(
            session, row.account_id, context.actor, "reservation.settle",
            node=node, queue_id=queue_id, state=verdict, amount_micros=row.amount, note=note,
        )  # fmt: skip
    amount = format_amount(data["amount_micros"], data["currency"])
    moved = "held → revenue" if verdict == "captured" else "held → available"
    told = f"{queue_id} on {node} is {verdict}: {amount} of {data['account']}, {moved}"
    emit(data, as_json, lambda: told)


def register(group: click.Group) -> None:
    group.add_command(reservations)
