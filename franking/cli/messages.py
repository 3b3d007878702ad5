"""`franking message`: what became of a message, by the queue ID of the 250 reply."""

from __future__ import annotations

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
    note_option,
    table,
    the_account,
)
from franking.db import utcnow
from franking.mail import holding, messages
from franking.mail.models import MESSAGE_STATES, Event, Message
from franking.money import refunds, reservations
from franking.money.amounts import format_amount


@click.group()
def message() -> None:
    """Show and list messages."""


def describe(row: Message) -> dict[str, Any]:
    return {
        "queue_id": row.queue_id,
        "node": row.node,
        "status": row.status,
        "from": row.from_address,
        "envelope_sender": row.envelope_sender,
        "subject": row.subject,
        "message_id": row.message_id,
        "size": row.size,
        "tags": row.tags,
        "metadata": row.labels,
        "mode": row.mode,
        "return_path": row.return_path,
        "accepted_at": row.accepted_at,
    }


def describe_event(event: Event, row: Message) -> dict[str, Any]:
    """With the message's labels, by which an application knows it again."""
    return {
        "event": event.kind,
        "at": event.at,
        "recipient": event.recipient,
        "attempt": event.attempt,
        "smtp_code": event.smtp_code,
        "enhanced_code": event.enhanced_code,
        "reply": event.reply,
        "category": event.category,
        "remote_host": event.remote_host,
        "remote_ip": event.remote_ip,
        "delay": event.delay,
        "tags": row.tags,
        "metadata": row.labels,
    }


def _whole(session: Session, row: Message) -> dict[str, Any]:
    account = session.get_one(Account, row.account_id)
    money = reservations.of_message(session, row.node, row.queue_id)
    return describe(row) | {
        "account": account.name,
        "currency": account.plan.currency,
        "charge": None
        if money is None
        else {
            "amount_micros": money.amount,
            "refunded_micros": row.refunded,
            "state": money.state,
            "evidence": money.evidence,
        },
        "signatures": row.signatures,
        "client": {
            "ip": row.client_ip,
            "helo": row.client_helo,
            "tls": row.tls,
            "auth_method": row.auth_method,
        },
        "recipients": [
            {"address": r.address, "status": r.status, "attempts": r.attempts}
            for r in messages.recipients(session, row)
        ],
        "events": [describe_event(event, row) for event in messages.timeline(session, row)],
    }


@message.command("show")
@click.argument("queue_id")
@json_option
@click.pass_obj
def show(context: Context, queue_id: str, as_json: bool) -> None:
    """Show one message with everything that happened to it."""
    with context.session() as session:
        data = _whole(session, messages.find(session, queue_id))
    emit(data, as_json, lambda: _human(data))


def _human(data: dict[str, Any]) -> str:
    charge = data["charge"]
    facts = [
        f"{data['queue_id']} on {data['node']}: {data['status']}",
        f"account    {data['account']}",
        f"from       {data['from']}  (envelope {data['envelope_sender'] or '<>'})",
        f"subject    {data['subject']}",
        f"message-id {data['message_id']}",
        f"size       {data['size']} bytes",
    ]
    if data["tags"]:
        facts.append(f"tags       {', '.join(data['tags'])}")
    facts += [f"metadata   {key}: {value}" for key, value in data["metadata"].items()]
    if charge:
        amount = format_amount(charge["amount_micros"], data["currency"])
        facts.append(f"charge     {amount}, {charge['state']} ({charge['evidence'] or 'pending'})")
        if charge["refunded_micros"]:
            back = format_amount(charge["refunded_micros"], data["currency"])
            facts.append(f"refunded   {back}")
    rows = [
        (e["at"], e["event"], e["recipient"], e["enhanced_code"], e["remote_host"], e["reply"])
        for e in data["events"]
    ]
    header = ("at", "event", "recipient", "code", "remote", "reply")
    return "\n".join([*facts, "", table(header, rows)])


@message.command("list")
@click.option("--status", type=click.Choice(MESSAGE_STATES))
@click.option("--recipient")
@click.option("--sender")
@click.option("--tag")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--before", help="Cursor of the previous page.")
@account_option
@json_option
@click.pass_obj
def list_(
    context: Context,
    *,
    status: str | None,
    recipient: str | None,
    sender: str | None,
    tag: str | None,
    limit: int,
    before: str | None,
    account_name: str | None,
    as_json: bool,
) -> None:
    """List an account's messages, newest first."""
    wanted = messages.Filter(status=status, recipient=recipient, sender=sender, tag=tag)
    with context.session() as session:
        account = the_account(session, account_name)
        page = messages.search(session, account, wanted, before, limit)
        data = {"messages": [describe(r) for r in page.rows], "next": page.next_cursor}
    emit(
        data,
        as_json,
        lambda: table(
            ("queue id", "accepted", "status", "from", "subject"),
            [(r.queue_id, r.accepted_at, r.status, r.from_address, r.subject) for r in page.rows],
        ),
    )


@message.command("release")
@click.argument("queue_id")
@click.option("--force", is_flag=True, help="Now, although a limit is exceeded; not counted.")
@json_option
@click.pass_obj
def release(context: Context, queue_id: str, force: bool, as_json: bool) -> None:
    """Release a held message as soon as its limits have room, before others of its API key."""
    now = utcnow()
    with context.transaction() as session:
        account = session.get_one(Account, messages.find(session, queue_id).account_id)
        held = (
            holding.let_go(session, queue_id, now)
            if force
            else holding.request_release(session, account, queue_id, now)
        )
        action = "message.release_forced" if force else "message.release_requested"
        audit.record(session, account.id, context.actor, action, queue_id=queue_id)
        data = {"queue_id": queue_id, "node": held.node, "reason": held.reason, "forced": force}
    told = "is released" if force else f"goes next; it is held because the {held.reason}"
    emit(data, as_json, lambda: f"{queue_id} {told}")


@message.command("refund")
@click.argument("queue_id")
@note_option("Why; it is on the ledger.")
@json_option
@click.pass_obj
def refund(context: Context, queue_id: str, note: str, as_json: bool) -> None:
    """Give back what a message has cost, as far as it was not given back already."""
    with context.transaction() as session:
        row = messages.find(session, queue_id)
        back = refunds.give_back_rest(session, row.node, row.queue_id, note=note, now=utcnow())
        audit.record(
            session, row.account_id, context.actor, "message.refund",
            node=row.node, queue_id=row.queue_id, amount_micros=back, note=note,
        )  # fmt: skip
        account = session.get_one(Account, row.account_id)
        amount = format_amount(back, account.plan.currency)
        data = {
            "queue_id": row.queue_id,
            "node": row.node,
            "account": account.name,
            "amount_micros": back,
            "currency": account.plan.currency,
        }
    emit(data, as_json, lambda: f"{row.queue_id}: {amount} given back to {account.name}")


def register(group: click.Group) -> None:
    group.add_command(message)
