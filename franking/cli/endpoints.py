"""`franking endpoint`: where customers are told what happens, by webhook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from franking import sealing
from franking.accounts import audit
from franking.cli import deliveries
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.sealing import Sealer
from franking.settings import SettingsError
from franking.webhooks import endpoints
from franking.webhooks.filters import Filters
from franking.webhooks.models import Endpoint

OVERLAP_DAYS = 7

number = click.argument("number", type=int)


@click.group()
def endpoint() -> None:
    """Create, change, list, rotate and remove webhook endpoints; see and repeat deliveries."""


def describe(row: Endpoint) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "domains": row.domains,
        "credentials": row.credentials,
        "tags": row.tags,
        "streams": row.streams,
        "batch": row.batch,
        "status": endpoints.standing_of(row),
        "failing_since": row.failing_since,
        "disabled_at": row.disabled_at,
        "disabled_reason": row.disabled_reason,
        "previous_until": row.previous_until,
        "created_at": row.created_at,
    }


def _sealer(context: Context) -> Sealer:
    try:
        return sealing.sealer(context.settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


_WANTED = (
    click.option("--event", "events", multiple=True, help="Only these; all when left out."),
    click.option("--domain", "domains", multiple=True, help="Mail's events of these domains only."),
    click.option("--credential", "credentials", multiple=True, help="Of these SMTP user names."),
    click.option("--tag", "tags", multiple=True, help="Of messages with one of these tags."),
    click.option("--stream", "streams", multiple=True, help="Of these streams."),
    click.option("--batch", type=click.IntRange(1, endpoints.LARGEST_BATCH),
                 help="So many events in one request, at most."),
)  # fmt: skip


def wanted_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What an endpoint gets."""
    for option in reversed(_WANTED):
        command = option(command)
    return command


@endpoint.command("create")
@click.argument("url")
@wanted_options
@account_option
@json_option
@click.pass_obj
def create(
    context: Context,
    /,
    *,
    url: str,
    events: tuple[str, ...],
    batch: int | None,
    account_name: str | None,
    as_json: bool,
    **filters: tuple[str, ...],
) -> None:
    """Tell URL what happens on the account; prints the secret that signs."""
    sealer = _sealer(context)
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = endpoints.create(
            session, account, url, events=events, filters=Filters(**filters), batch=batch or 1,
            sealer=sealer, rules=context.settings.webhooks,
        )  # fmt: skip
        data = describe(made.endpoint) | {"secret": made.secret}
        audit.record(
            session, account.id, context.actor, "endpoint.create",
            id=made.endpoint.id, url=made.endpoint.url, events=made.endpoint.events,
        )  # fmt: skip
    emit(data, as_json, lambda: f"endpoint {data['id']}\nsecret   {data['secret']}")


@endpoint.command("set")
@number
@click.option("--url")
@wanted_options
@click.option("--everything", is_flag=True, help="All events, before what else is said.")
@account_option
@json_option
@click.pass_obj
def set_(
    context: Context,
    /,
    *,
    number: int,
    url: str | None,
    events: tuple[str, ...],
    batch: int | None,
    everything: bool,
    account_name: str | None,
    as_json: bool,
    **filters: tuple[str, ...],
) -> None:
    """Change endpoint NUMBER; each option replaces what there was of its kind."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = endpoints.get(session, account, number)
        before = {} if everything else asdict(endpoints.filters_of(row))
        endpoints.change(
            session, account, number, rules=context.settings.webhooks, url=url,
            events=events if events or everything else None, batch=batch,
            filters=Filters(**(before | {k: v for k, v in filters.items() if v})),
        )  # fmt: skip
        data = describe(row)
        audit.record(
            session, account.id, context.actor, "endpoint.change", id=number, url=row.url,
            events=row.events, batch=row.batch, **asdict(endpoints.filters_of(row)),
        )  # fmt: skip
    emit(data, as_json, lambda: f"endpoint {number} is changed")


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
    """Tell endpoint NUMBER what happens from now on; see `replay`."""
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
        endpoints.remove(session, account, number, utcnow())
        audit.record(session, account.id, context.actor, "endpoint.remove", id=number, url=url)
    emit({"id": number}, as_json, lambda: f"endpoint {number} is removed")


def register(group: click.Group) -> None:
    deliveries.register(endpoint)
    group.add_command(endpoint)
