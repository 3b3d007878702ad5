"""`franking endpoint`: where customers are told what happens, by webhook."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from franking import sealing
from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.sealing import Sealer
from franking.settings import SettingsError
from franking.webhooks import endpoints, outbox
from franking.webhooks.models import Delivery, Endpoint

OVERLAP_DAYS = 7

number = click.argument("number", type=int)


@click.group()
def endpoint() -> None:
    """Create, list, test, rotate and remove webhook endpoints."""


def describe(row: Endpoint) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "status": "active" if row.disabled_at is None else "disabled",
        "failing_since": row.failing_since,
        "disabled_at": row.disabled_at,
        "disabled_reason": row.disabled_reason,
        "previous_until": row.previous_until,
        "created_at": row.created_at,
    }


def described_delivery(row: Delivery) -> dict[str, Any]:
    return {
        "webhook_id": row.webhook_id,
        "event": row.kind,
        "state": outbox.state_of(row),
        "attempts": row.attempts,
        "created_at": row.created_at,
        "due_at": row.due_at if outbox.state_of(row) == "waiting" else None,
        "last_status": row.last_status,
        "last_error": row.last_error,
    }


def _sealer(context: Context) -> Sealer:
    try:
        return sealing.sealer(context.settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@endpoint.command("create")
@click.argument("url")
@click.option("--event", "events", multiple=True, help="Only these; all when left out.")
@account_option
@json_option
@click.pass_obj
def create(
    context: Context,
    /,
    *,
    url: str,
    events: tuple[str, ...],
    account_name: str | None,
    as_json: bool,
) -> None:
    """Tell URL what happens on the account; prints the secret that signs."""
    sealer = _sealer(context)
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = endpoints.create(
            session, account, url, events=events, sealer=sealer, rules=context.settings.webhooks
        )
        data = describe(made.endpoint) | {"secret": made.secret}
        audit.record(
            session, account.id, context.actor, "endpoint.create",
            id=made.endpoint.id, url=made.endpoint.url, events=made.endpoint.events,
        )  # fmt: skip
    emit(data, as_json, lambda: f"endpoint {data['id']}\nsecret   {data['secret']}")


@endpoint.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's endpoints."""
    with context.session() as session:
        found = endpoints.all_of(session, the_account(session, account_name))
        rows = [describe(row) for row in found]
    emit(
        rows,
        as_json,
        lambda: table(
            ("id", "url", "events", "status", "failing since", "reason"),
            [
                (
                    r["id"],
                    r["url"],
                    ", ".join(r["events"]) or "all",
                    r["status"],
                    r["failing_since"],
                    r["disabled_reason"],
                )
                for r in rows
            ],
        ),
    )


@endpoint.command("rotate")
@number
@click.option(
    "--overlap-days", type=click.IntRange(0, endpoints.LONGEST_OVERLAP.days), default=OVERLAP_DAYS,
    show_default=True, help="How long the old secret signs, too.",
)  # fmt: skip
@account_option
@json_option
@click.pass_obj
def rotate(
    context: Context, *, number: int, overlap_days: int, account_name: str | None, as_json: bool
) -> None:
    """Make a new secret for endpoint NUMBER."""
    sealer = _sealer(context)
    with context.transaction() as session:
        account = the_account(session, account_name)
        overlap = timedelta(days=overlap_days)
        made = endpoints.rotate(
            session, account, number, overlap=overlap, sealer=sealer, now=utcnow()
        )
        data = describe(made.endpoint) | {"secret": made.secret}
        audit.record(session, account.id, context.actor, "endpoint.rotate", id=number)
    emit(data, as_json, lambda: f"secret   {data['secret']}")


@endpoint.command("disable")
@number
@account_option
@json_option
@click.pass_obj
def disable(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """Tell endpoint NUMBER nothing more; what waits for it is given up."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = endpoints.disable(session, account, number, f"by {context.actor}", utcnow())
        data = describe(row)
        audit.record(session, account.id, context.actor, "endpoint.disable", id=number)
    emit(data, as_json, lambda: f"endpoint {number} is disabled")


@endpoint.command("enable")
@number
@account_option
@json_option
@click.pass_obj
def enable(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """Tell endpoint NUMBER what happens from now on."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        data = describe(endpoints.enable(session, account, number))
        audit.record(session, account.id, context.actor, "endpoint.enable", id=number)
    emit(data, as_json, lambda: f"endpoint {number} is enabled")


@endpoint.command("remove")
@number
@account_option
@json_option
@click.pass_obj
def remove(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """Forget endpoint NUMBER and what was delivered to it."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        url = endpoints.get(session, account, number).url
        endpoints.remove(session, account, number)
        audit.record(session, account.id, context.actor, "endpoint.remove", id=number, url=url)
    emit({"id": number}, as_json, lambda: f"endpoint {number} is removed")


@endpoint.command("test")
@number
@account_option
@json_option
@click.pass_obj
def test(context: Context, number: int, account_name: str | None, as_json: bool) -> None:
    """Send the event `endpoint.test` to endpoint NUMBER; `log` tells how it went."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = outbox.test(session, endpoints.get(session, account, number), utcnow())
        data = described_delivery(row)
    emit(data, as_json, lambda: f"{data['webhook_id']} is on its way")


@endpoint.command("log")
@number
@click.option("--limit", default=20, show_default=True)
@account_option
@json_option
@click.pass_obj
def log(
    context: Context, *, number: int, limit: int, account_name: str | None, as_json: bool
) -> None:
    """List what was delivered to endpoint NUMBER, newest first."""
    with context.session() as session:
        found = endpoints.get(session, the_account(session, account_name), number)
        rows = [described_delivery(row) for row in outbox.deliveries(session, found, limit=limit)]
    keys = ("created_at", "event", "webhook_id", "state", "attempts", "due_at", "last_error")
    header = ("at", "event", "id", "state", "tries", "next", "error")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


def register(group: click.Group) -> None:
    group.add_command(endpoint)
