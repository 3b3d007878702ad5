"""`franking suppression`: addresses that must not be written to."""

from __future__ import annotations

from typing import Any

import click

from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.mail import suppressions
from franking.mail.models import SUPPRESSION_REASONS, Suppression

scope_option = click.option(
    "--scope",
    default="account",
    help="account (the default), domain:NAME or stream:NAME.",
)


@click.group()
def suppression() -> None:
    """Add, remove and list suppressed addresses."""


def describe(row: Suppression) -> dict[str, Any]:
    return {
        "address": row.address,
        "scope": f"{row.scope}:{row.scope_name}" if row.scope_name else row.scope,
        "reason": row.reason,
        "note": row.note,
        "created_at": row.created_at,
    }


@suppression.command("add")
@click.argument("address")
@click.option("--reason", type=click.Choice(SUPPRESSION_REASONS), default="manual")
@click.option("--note", help="For whoever reads the list later.")
@scope_option
@account_option
@json_option
@click.pass_obj
def add(
    context: Context,
    /,
    *,
    address: str,
    reason: str,
    note: str | None,
    scope: str,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Refuse mail to ADDRESS from now on."""
    kind, _, name = scope.partition(":")
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = suppressions.add(
            session, account, address, reason=reason, scope=kind, scope_name=name, note=note
        )
        data = describe(row)
        audit.record(session, account.id, context.actor, "suppression.add", **_audited(data))
    emit(data, as_json, lambda: f"{data['address']} is suppressed ({data['scope']})")


@suppression.command("remove")
@click.argument("address")
@scope_option
@account_option
@json_option
@click.pass_obj
def remove(
    context: Context, address: str, scope: str, account_name: str | None, as_json: bool
) -> None:
    """Let mail to ADDRESS pass again."""
    kind, _, name = scope.partition(":")
    with context.transaction() as session:
        account = the_account(session, account_name)
        suppressions.remove(session, account, address, scope=kind, scope_name=name)
        data = {"address": address, "scope": scope}
        audit.record(session, account.id, context.actor, "suppression.remove", **data)
    emit(data, as_json, lambda: f"{address} is not suppressed any more ({scope})")


@suppression.command("list")
@click.option("--find", "text", default="", help="Part of an address.")
@click.option("--after", default="", help="Begin after this address, for the next page.")
@click.option("--limit", default=100, show_default=True)
@account_option
@json_option
@click.pass_obj
def list_(
    context: Context,
    /,
    *,
    text: str,
    after: str,
    limit: int,
    account_name: str | None,
    as_json: bool,
) -> None:
    """List an account's suppressed addresses."""
    with context.session() as session:
        found = suppressions.search(
            session, the_account(session, account_name), text=text, after=after, limit=limit
        )
        rows = [describe(row) for row in found]
    keys = ("address", "scope", "reason", "created_at", "note")
    header = ("address", "scope", "reason", "since", "note")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


def _audited(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("address", "scope", "reason")}


def register(group: click.Group) -> None:
    group.add_command(suppression)
