"""`franking credential`: SMTP user names and API keys."""

from __future__ import annotations

from typing import Any

import click

from franking.accounts import audit, credentials
from franking.accounts.models import Credential
from franking.cli.context import (
    Context,
    account_option,
    emit,
    json_option,
    table,
    the_account,
)


@click.group()
def credential() -> None:
    """Create, revoke and list SMTP credentials."""


def describe(row: Credential) -> dict[str, Any]:
    return {
        "username": row.username,
        "name": row.name,
        "mode": row.mode,
        "status": "revoked" if row.revoked_at else "active",
        "secret_ends_with": row.secret_hint,
        "created_at": row.created_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
        "last_used_ip": row.last_used_ip,
    }


@credential.command("create")
@click.argument("name")
@account_option
@json_option
@click.pass_obj
def create(context: Context, name: str, account_name: str | None, as_json: bool) -> None:
    """Create a credential called NAME; its secret is printed once, now."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        made = credentials.create(session, account, name, prefix=context.settings.brand.prefix)
        audit.record(
            session,
            account.id,
            context.actor,
            "credential.create",
            username=made.credential.username,
        )
        data = describe(made.credential) | {"secret": made.secret}
    emit(
        data,
        as_json,
        lambda: f"user name {data['username']}\nsecret    {data['secret']}  (shown once)",
    )


@credential.command("revoke")
@click.argument("username")
@account_option
@json_option
@click.pass_obj
def revoke(context: Context, username: str, account_name: str | None, as_json: bool) -> None:
    """Refuse USERNAME from now on."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        row = credentials.revoke(session, account, username)
        audit.record(session, account.id, context.actor, "credential.revoke", username=username)
        data = describe(row)
    emit(data, as_json, lambda: f"{username} is revoked")


@credential.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's credentials, newest first."""
    with context.session() as session:
        rows = [
            describe(r) for r in credentials.all_of(session, the_account(session, account_name))
        ]
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
