"""`franking suppression`: addresses that must not be written to."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, BinaryIO, TextIO

import click

from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.db import utcnow
from franking.mail import suppression_pages, suppressions
from franking.mail.models import SUPPRESSION_REASONS, SUPPRESSION_SCOPES, Suppression
from franking.mail.suppression_files import exporting, importing
from franking.mail.suppression_files.importing import Result, Wanted
from franking.mail.suppression_pages import Filter, Listed

scope_option = click.option(
    "--scope",
    default="account",
    help="account (the default), domain:NAME or stream:NAME.",
)


@click.group()
def suppression() -> None:
    """Addresses that must not be written to: add, remove, list, import, export."""


def describe(row: Suppression) -> dict[str, Any]:
    return {
        "id": row.id,
        "address": row.address,
        "scope": f"{row.scope}:{row.scope_name}" if row.scope_name else row.scope,
        "reason": row.reason,
        "note": row.note,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }


@suppression.command("add")
@click.argument("address")
@click.option("--reason", type=click.Choice(SUPPRESSION_REASONS), default="manual")
@click.option("--note", help="For whoever reads the list later.")
@click.option("--days", type=click.IntRange(1, 36_500), help="For so long; else for ever.")
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
    days: int | None,
    scope: str,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Refuse mail to ADDRESS from now on."""
    kind, _, name = scope.partition(":")
    with context.transaction() as session:
        account = the_account(session, account_name)
        until = utcnow() + timedelta(days=days) if days else None
        row = suppressions.add(
            session, account, address,
            reason=reason, scope=kind, scope_name=name, note=note, expires_at=until,
        )  # fmt: skip
        data = describe(row)
        audit.record(session, account.id, context.actor, "suppression.add", **_audited(row))
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
        row = suppressions.remove(session, account, address, scope=kind, scope_name=name)
        data = describe(row)
        audit.record(session, account.id, context.actor, "suppression.remove", **_audited(row))
    if warning := suppression_pages.WARNINGS.get(row.reason):
        click.echo(f"Warning: {warning}", err=True)
    emit(data, as_json, lambda: f"{data['address']} is not suppressed any more ({data['scope']})")


@suppression.command("list")
@click.option("--find", "text", default="", help="An address, or a part of one.")
@click.option("--reason", type=click.Choice(SUPPRESSION_REASONS), default=None)
@click.option("--scope", type=click.Choice(SUPPRESSION_SCOPES), default=None)
@click.option("--before", type=int, help="Entries older than this ID, for the next page.")
@click.option("--limit", default=100, show_default=True)
@account_option
@json_option
@click.pass_obj
def list_(
    context: Context,
    /,
    *,
    text: str,
    reason: str | None,
    scope: str | None,
    before: int | None,
    limit: int,
    account_name: str | None,
    as_json: bool,
) -> None:
    """List an account's suppressed addresses, the newest first, and the message that caused each
    entry."""
    with context.session() as session:
        found = suppression_pages.search(
            session,
            the_account(session, account_name),
            Filter(text, reason or "", scope or ""),
            utcnow(),
            before=before,
            limit=limit,
        )
        rows = [describe(each.entry) | {"message": _message(each)} for each in found]
    keys = ("id", "address", "scope", "reason", "created_at", "expires_at", "message", "note")
    header = ("id", "address", "scope", "reason", "since", "until", "message", "note")
    emit(rows, as_json, lambda: table(header, [[row[key] for key in keys] for row in rows]))


def _message(listed: Listed) -> str | None:
    return None if listed.event is None else listed.event.queue_id


@suppression.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--check", is_flag=True, help="Only read it.")
@scope_option
@account_option
@json_option
@click.pass_obj
def import_(
    context: Context,
    /,
    *,
    file: BinaryIO,
    check: bool,
    scope: str,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Take the entries of FILE: what `export` writes, or an export of SendGrid, Postmark, Mailgun
    or Amazon SES.

    --scope is for complaints and unsubscriptions in lists that name no scope.
    """
    kind, _, name = scope.partition(":")
    now = utcnow()
    with context.session() as session:
        account_id = the_account(session, account_name).id

    def store(rows: Sequence[Mapping[str, Any]]) -> int:
        if check:
            return 0
        with context.transaction() as session:
            return suppressions.put(session, rows, now)

    def progress(result: Result) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{result.read:,} lines", nl=False, err=True)

    with context.explained():
        wanted = Wanted(account_id, context.settings.suppressions, now, kind, name)
        result = importing.take(file, wanted, store=store, progress=progress)
    data = _summary(result)
    if not check:
        with context.transaction() as session:
            audit.record(session, account_id, context.actor, "suppression.import", **data)
    said = [{"line": fault.line, "text": fault.text} for fault in result.faults]
    emit(data | {"faults": said}, as_json, lambda: _told(result, check))
    if result.unusable:
        raise SystemExit(1)


def _summary(result: Result) -> dict[str, Any]:
    return {
        "format": result.format,
        "entries": result.entries,
        "changed": result.changed,
        "reasons": dict(result.reasons),
        "left_out": dict(result.left_out),
        "unusable": result.unusable,
    }


def _told(result: Result, check: bool) -> str:
    told = [f"{result.format}: {result.entries:,} entries"]
    told += [f"  {count:,} {reason}" for reason, count in result.reasons.most_common()]
    if not check:
        told.append(f"{result.changed:,} are new, the others were on the list already")
    told += [f"{count:,} left out: {why}" for why, count in result.left_out.most_common()]
    told += [f"line {fault.line}: {fault.text}" for fault in result.faults]
    if (more := result.unusable - len(result.faults)) > 0:
        told.append(f"and {more:,} more lines that cannot be used")
    return "\n".join(told)


@suppression.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=False), default="-")
@account_option
@click.pass_obj
def export(context: Context, file: TextIO, account_name: str | None) -> None:
    """Write an account's list to FILE as CSV, or to the standard output."""
    now = utcnow()
    with context.session() as session:
        account = the_account(session, account_name)

        def page(before: int | None, limit: int) -> Sequence[Listed]:
            found = suppression_pages.search(
                session, account, Filter(), now, before=before, limit=limit
            )
            session.expunge_all()  # else it would keep the whole list
            return found

        for text in exporting.lines(page):
            file.write(text)


def _audited(row: Suppression) -> dict[str, Any]:
    described = describe(row)
    return {name: described[name] for name in ("address", "scope", "reason")} | {
        "event_id": row.event_id
    }


def register(group: click.Group) -> None:
    group.add_command(suppression)
