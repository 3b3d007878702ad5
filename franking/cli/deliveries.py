"""`franking endpoint test|log|show|replay|replays`: what was sent, and sending it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import click

from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.webhooks import endpoints, outbox, replays
from franking.webhooks.models import Attempt, Delivery, Replay

number = click.argument("number", type=int)


def describe(row: Delivery) -> dict[str, Any]:
    state = outbox.state_of(row)
    return {
        "id": row.id,
        "webhook_id": row.webhook_id,
        "event": row.kind,
        "events": row.events,
        "message_id": row.queue_id,
        "state": state,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "due_at": row.due_at if state == "waiting" else None,
        "last_status": row.last_status,
        "last_error": row.last_error,
    }


def described_attempt(row: Attempt) -> dict[str, Any]:
    return {
        "at": row.at,
        "took": row.took,
        "url": row.url,
        "status": row.status,
        "error": row.error,
        "request_headers": row.request_headers,
        "response_headers": row.response_headers,
        "response": row.response,
    }


def described_replay(row: Replay) -> dict[str, Any]:
    return {
        "id": row.id,
        "since": row.since,
        "until": row.until,
        "reached": row.reached,
        "events": row.events,
        "requested_at": row.requested_at,
        "done_at": row.done_at,
    }


@click.command("test")
@number
@account_option
@json_option
@click.pass_obj
def test(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """Send the event `endpoint.test` to endpoint NUMBER, once; `log` tells how it went."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        data = describe(outbox.test(session, endpoints.get(session, account, number), utcnow()))
    emit(data, as_json, lambda: f"{data['webhook_id']} is on its way")


@click.command("log")
@number
@click.option("--state", type=click.Choice(get_args(outbox.State)), help="`dead`: given up.")
@click.option("--limit", default=20, show_default=True)
@account_option
@json_option
@click.pass_obj
def log(
    context: Context,
    *,
    number: int,
    state: outbox.State | None,
    limit: int,
    account_name: str | None,
    as_json: bool,
) -> None:
    """List what was delivered to endpoint NUMBER, newest first."""
    with context.session() as session:
        found = endpoints.get(session, the_account(session, account_name), number)
        rows = [
            describe(row) for row in outbox.deliveries(session, found, state=state, limit=limit)
        ]
    keys = ("id", "created_at", "event", "webhook_id", "state", "attempts", "due_at", "last_error")
    header = ("number", "at", "event", "id", "state", "tries", "next", "error")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


@click.command("show")
@click.argument("delivery", type=int)
@account_option
@json_option
@click.pass_obj
def show(context: Context, delivery: int, account_name: str | None, as_json: bool) -> None:
    """Show DELIVERY, a number of `log`: its body, each request and answer, the tries to come."""
    with context.session() as session:
        row = outbox.get(session, the_account(session, account_name), delivery)
        data = describe(row) | {
            "body": row.body,
            "tries": [described_attempt(each) for each in outbox.attempts(session, row)],
            "upcoming": [each.isoformat() for each in outbox.upcoming(row, utcnow())],
        }
    emit(data, as_json, lambda: _shown(data))


def _shown(data: dict[str, Any]) -> str:
    tries = [
        (each["at"], each["status"], f"{each['took']:.3f} s", each["error"] or each["response"])
        for each in data["tries"]
    ]
    lines = [
        f"{data['webhook_id']}  {data['event']}  {data['state']}",
        table(("at", "status", "took", "answer"), tries),
        *(f"next     {each}" for each in data["upcoming"][:1]),
        data["body"] or "(the body is too old to be kept)",
    ]
    return "\n".join(lines)


@click.command("replay")
@number
@click.argument("deliveries", type=int, nargs=-1)
@click.option("--dead", is_flag=True, help="All that was given up.")
@click.option("--since", type=click.DateTime(), help="Everything since then (UTC).")
@click.option("--hours", type=click.IntRange(1), help="Everything of so many hours.")
@account_option
@json_option
@click.pass_obj
def replay(
    context: Context,
    *,
    number: int,
    deliveries: tuple[int, ...],
    dead: bool,
    since: datetime | None,
    hours: int | None,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Send endpoint NUMBER again: DELIVERIES (numbers of `log`), --dead, or all --since a time.

    The `webhook-id` stays the same.
    """
    now = utcnow()
    start = since.replace(tzinfo=UTC) if since else hours and now - timedelta(hours=hours)
    if sum((bool(deliveries), dead, bool(start))) != 1:
        raise click.UsageError("say which: numbers of deliveries, --dead, --since or --hours")
    with context.transaction() as session:
        account = the_account(session, account_name)
        data: dict[str, Any]
        if start:
            data = described_replay(replays.since(session, account, number, start, now))
        elif dead:
            data = {"sent": replays.again_all_dead(session, account, number, now)}
        else:
            data = {"sent": replays.again(session, account, number, deliveries, now)}
        audit.record(
            session, account.id, context.actor, "endpoint.replay", id=number, dead=dead,
            deliveries=list(deliveries), since=start.isoformat() if start else None,
        )  # fmt: skip
    under_way = "under way; `franking endpoint replays` tells how far it is"
    emit(data, as_json, lambda: under_way if start else f"{data['sent']} sent again")


@click.command("replays")
@number
@account_option
@json_option
@click.pass_obj
def replays_(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """List the last replays of endpoint NUMBER, and how far each is."""
    with context.session() as session:
        found = endpoints.get(session, the_account(session, account_name), number)
        rows = [described_replay(row) for row in replays.of(session, found)]
    keys = ("since", "until", "reached", "events", "done_at")
    header = ("since", "until", "reached", "events", "done")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


def register(group: click.Group) -> None:
    for command in (test, log, show, replay, replays_):
        group.add_command(command)
