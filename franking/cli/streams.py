"""`franking stream`: an account's mail by kind, and which of it is bulk."""

from __future__ import annotations

from dataclasses import asdict

import click

from franking.accounts import audit
from franking.cli.context import Context, account_option, emit, json_option, table, the_account
from franking.mail import streams


@click.group()
def stream() -> None:
    """List streams, and mark them as bulk mail."""


@stream.command("list")
@account_option
@json_option
@click.pass_obj
def list_(context: Context, account_name: str | None, as_json: bool) -> None:
    """List an account's streams."""
    with context.session() as session:
        rows = [asdict(row) for row in streams.all_of(session, the_account(session, account_name))]
    emit(
        rows,
        as_json,
        lambda: table(
            ("stream", "bulk", "credentials"),
            [(r["name"], "bulk" if r["bulk"] else None, r["credentials"]) for r in rows],
        ),
    )


@stream.command("set")
@click.argument("name")
@click.option(
    "--bulk/--no-bulk",
    required=True,
    help="Whether messages to one recipient get links to unsubscribe (RFC 8058).",
)
@account_option
@json_option
@click.pass_obj
def set_(
    context: Context, *, name: str, bulk: bool, account_name: str | None, as_json: bool
) -> None:
    """Say of stream NAME whether it is bulk mail; from the next message on."""
    with context.transaction() as session:
        account = the_account(session, account_name)
        streams.mark(session, account, name, bulk=bulk)
        audit.record(session, account.id, context.actor, "stream.set", name=name, bulk=bulk)
    said = f"stream {name} is {'' if bulk else 'not '}bulk"
    if bulk and not context.settings.panel.url.startswith("https://"):
        said += "; panel.url is not https, so links to unsubscribe are without one click"
    emit({"name": name, "bulk": bulk}, as_json, lambda: said)


def register(group: click.Group) -> None:
    group.add_command(stream)
