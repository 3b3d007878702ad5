"""`franking balance`: what an account has."""

from __future__ import annotations

from typing import Any

import click

from franking.cli.accounts import describe
from franking.cli.context import Context, account_option, emit, json_option, the_account
from franking.money.amounts import format_amount


def _human(data: dict[str, Any]) -> str:
    available = format_amount(data["available_micros"], data["currency"])
    held = format_amount(data["held_micros"], data["currency"])
    return f"{data['account']}: {available} available, {held} held"


@click.command("balance")
@account_option
@json_option
@click.pass_obj
def balance(context: Context, account_name: str | None, as_json: bool) -> None:
    """Show what an account has available and what is held for mail in progress."""
    with context.session() as session:
        data = describe(session, the_account(session, account_name))
    emit(data, as_json, lambda: _human(data))


def register(group: click.Group) -> None:
    group.add_command(balance)
