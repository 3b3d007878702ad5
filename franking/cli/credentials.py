"""`franking credential`: SMTP user names and API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from franking import sealing
from franking.accounts import audit, credentials
from franking.accounts.credential_options import plain
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)
from franking.cli.credential_options import (
    describe,
    described_use,
    edited,
    shown,
    wishes,
)
from franking.db import utcnow
from franking.sealing import Sealer
from franking.settings import SettingsError

OVERLAP_DAYS = 7


@click.group()
def credential() -> None:
    """Create, restrict, rotate, revoke and list SMTP credentials."""


def _sealer(context: Context) -> Sealer | None:
    try:
        return sealing.for_credentials(context.settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _audit(
    session: Session, context: Context, account_id: int, action: str, username: str, **detail: Any
) -> None:
    audit.record(
        session, account_id, context.actor, f"credential.{action}", username=username, **detail
    )


@credential.command("create")
@click.argument("name")
@click.option("--mode", type=click.Choice(["live", "test"]), default="live", show_default=True)
@wishes
@account_option
@json_option
@click.pass_obj
def create(
    context: Context,
    /,
    *,
    name: str,
    mode: str,
    account_name: str | None,
    as_json: bool,
    **wish: Any,
) -> None:
    """Create a credential called NAME; its secret is printed once, now."""
    sealer = _sealer(context)
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = credentials.create(
            session,
            account,
            name,
            prefix=context.settings.brand.prefix,
            mode=mode,
            options=edited(credentials.Options(), **wish),
            sealer=sealer,
        )
        row = made.credential
        options = plain(credentials.options_of(row))
        _audit(session, context, account.id, "create", row.username, mode=mode, **options)
        data = describe(row, utcnow()) | {"secret": made.secret}
    emit(data, as_json, lambda: _secret(data))


def _secret(data: dict[str, Any]) -> str:
    return f"user name {data['username']}\nsecret    {data['secret']}  (shown once)"


@credential.command("set")
@click.argument("username")
@wishes
@account_option
@json_option
@click.pass_obj
def set_(
    context: Context, /, *, username: str, account_name: str | None, as_json: bool, **wish: Any
) -> None:
    """Change what USERNAME is restricted to; what is not said stays."""
    now = utcnow()
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = credentials.get(session, account, username, for_update=True)
        before = credentials.options_of(row)
        row = credentials.change(session, account, username, edited(before, **wish), now)
        after = credentials.options_of(row)
        _audit(
            session,
            context,
            account.id,
            "set",
            username,
            before=plain(before),
            after=plain(after),
        )
        data = describe(row, now)
        text = shown(row, [described_use(row, u, now) for u in credentials.uses(session, row)], now)
    emit(data, as_json, lambda: text)


@credential.command("rotate")
@click.argument("username")
@click.option(
    "--overlap-days",
    type=click.IntRange(0),
    help=f"How long the old secret goes on working; {OVERLAP_DAYS} when not said.",
)
@account_option
@json_option
@click.pass_obj
def rotate(
    context: Context,
    *,
    username: str,
    overlap_days: int | None,
    account_name: str | None,
    as_json: bool,
) -> None:
    """Make a new secret for USERNAME; it is printed once, now."""
    sealer = _sealer(context)
    longest = context.settings.credentials.longest_overlap_days
    days = min(OVERLAP_DAYS, longest) if overlap_days is None else overlap_days
    now = utcnow()
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = credentials.rotate(
            session,
            account,
            username,
            overlap=timedelta(days=days),
            longest=timedelta(days=longest),
            sealer=sealer,
            now=now,
        )
        row = made.credential
        data = describe(row, now) | {"secret": made.secret}
        _audit(
            session,
            context,
            account.id,
            "rotate",
            username,
            secret=row.secret_hint,
            previous=row.previous_hint,
            previous_until=f"{row.previous_until:%FT%TZ}",
        )
    old = f"works until {data['previous_until']:%F %TZ}" if days else "no longer works"
    emit(
        data,
        as_json,
        lambda: f"{_secret(data)}\nthe old one, …{data['previous_ends_with']}, {old}",
    )


@credential.command("end-overlap")
@click.argument("username")
@account_option
@json_option
@click.pass_obj
def end_overlap(context: Context, username: str, account_name: str | None, as_json: bool) -> None:
    """Refuse the secret that USERNAME had before its last rotation from now on."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = credentials.end_overlap(session, account, username)
        _audit(session, context, account.id, "end_overlap", username, ended=row.previous_hint)
        data = describe(row, utcnow())
    emit(data, as_json, lambda: f"only …{data['secret_ends_with']} works for {username}")


@credential.command("reveal")
@click.argument("username")
@account_option
@json_option
@click.pass_obj
def reveal(context: Context, username: str, account_name: str | None, as_json: bool) -> None:
    """Show the secret of USERNAME again, where `credentials.reveal` is on."""
    sealer = _sealer(context)
    if sealer is None:
        raise click.ClickException(
            "secrets are shown once, when they are made (credentials.reveal is off in the settings)"
        )
    with context.transaction() as session:
        account = the_account(session, account_name)
        secret = credentials.reveal(credentials.get(session, account, username), sealer)
        _audit(session, context, account.id, "reveal", username)
    emit({"username": username, "secret": secret}, as_json, lambda: secret)


@credential.command("revoke")
@click.argument("username")
@account_option
@json_option
@click.pass_obj
def revoke(context: Context, username: str, account_name: str | None, as_json: bool) -> None:
    """Refuse USERNAME from now on, with every secret."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = credentials.revoke(session, account, username)
        _audit(session, context, account.id, "revoke", username)
        data = describe(row, utcnow())
    emit(data, as_json, lambda: f"{username} is revoked")


@credential.command("show")
@click.argument("username")
@account_option
@json_option
@click.pass_obj
def show(context: Context, username: str, account_name: str | None, as_json: bool) -> None:
    """Show what USERNAME is restricted to, and which clients use which of its secrets."""
    now = utcnow()
    with context.session() as session:
        row = credentials.get(session, the_account(session, account_name), username)
        clients = [described_use(row, use, now) for use in credentials.uses(session, row)]
        data = describe(row, now) | {"clients": clients}
        text = shown(row, clients, now)
    emit(data, as_json, lambda: text)


@credential.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's credentials, newest first."""
    now = utcnow()
    with context.session() as session:
        found = credentials.all_of(session, the_account(session, account_name))
        rows = [describe(row, now) for row in found]
    emit(
        rows,
        as_json,
        lambda: table(
            ("user name", "name", "mode", "status", "secret", "last used", "from"),
            [
                (
                    r["username"],
                    r["name"],
                    r["mode"],
                    r["status"],
                    "…" + r["secret_ends_with"],
                    r["last_used_at"],
                    r["last_used_ip"],
                )
                for r in rows
            ],
        ),
    )


def register(group: click.Group) -> None:
    group.add_command(credential)
