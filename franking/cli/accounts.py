"""`franking account`: the tenants."""

from __future__ import annotations

import secrets
from typing import Any

import click
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts import audit, users
from franking.accounts.models import Account
from franking.cli.context import Context, emit, json_option, table, the_account
from franking.db import utcnow
from franking.money import ledger, pricing
from franking.money.amounts import format_amount


@click.group()
def account() -> None:
    """Create, list, show and close accounts."""


def describe(session: Session, row: Account) -> dict[str, Any]:
    balance = ledger.balance(session, row.id)
    return {
        "account": row.name,
        "status": row.status,
        "plan": row.plan.name,
        "currency": row.plan.currency,
        "available_micros": balance.available,
        "held_micros": balance.held,
        "created_at": row.created_at,
    }


@account.command("create")
@click.argument("name")
@click.option("--plan", default="standard", show_default=True)
@click.option("--email", help="Also create a panel user with this address.")
@click.option("--password", help="That user's password; made up and printed when left out.")
@json_option
@click.pass_obj
def create(
    context: Context,
    *,
    name: str,
    plan: str,
    email: str | None,
    password: str | None,
    as_json: bool,
) -> None:
    """Create the account NAME with a balance of zero."""
    with context.transaction() as session:
        row = accounts.create(session, name, plan=pricing.plan_named(session, plan))
        audit.record(session, row.id, context.actor, "account.create", name=name)
        data = describe(session, row)
        if email:
            secret = password or secrets.token_urlsafe(12)
            users.create(session, row, email, secret)
            audit.record(session, row.id, context.actor, "user.create", email=email)
            data |= {"email": email, "password": None if password else secret}
    emit(data, as_json, lambda: _created(data))


def _created(data: dict[str, Any]) -> str:
    lines = [f"account {data['account']} on plan {data['plan']}"]
    if data.get("email"):
        lines.append(f"user {data['email']}")
    if data.get("password"):
        lines.append(f"password (shown once) {data['password']}")
    return "\n".join(lines)


@account.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all accounts with their balances."""
    with context.session() as session:
        rows = [describe(session, row) for row in accounts.all_of(session)]
    emit(
        rows,
        as_json,
        lambda: table(
            ("account", "status", "plan", "available", "held", "created"),
            [
                (
                    r["account"],
                    r["status"],
                    r["plan"],
                    format_amount(r["available_micros"], r["currency"]),
                    format_amount(r["held_micros"], r["currency"]),
                    r["created_at"],
                )
                for r in rows
            ],
        ),
    )


@account.command("show")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def show(context: Context, name: str | None, as_json: bool) -> None:
    """Show one account."""
    with context.session() as session:
        data = describe(session, the_account(session, name))
    emit(data, as_json, lambda: "\n".join(f"{key}: {value}" for key, value in data.items()))


@account.command("set-plan")
@click.argument("name", metavar="ACCOUNT")
@click.argument("plan")
@json_option
@click.pass_obj
def set_plan(context: Context, name: str, plan: str, as_json: bool) -> None:
    """Put ACCOUNT on PLAN; its prices, terms and rules hold from the next message on."""
    with context.transaction() as session:
        row = accounts.get(session, name)
        before = row.plan.name
        accounts.change_plan(session, row, pricing.plan_named(session, plan))
        audit.record(session, row.id, context.actor, "account.set_plan", before=before, after=plan)
        data = describe(session, row) | {"plan_before": before}
    emit(data, as_json, lambda: f"account {name}: plan {before} → {plan}")


@account.command("close")
@click.argument("name", metavar="ACCOUNT")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def close(context: Context, name: str, yes: bool, as_json: bool) -> None:
    """Close ACCOUNT for good: nobody logs in, its domains and their keys are removed.

    Its books and messages stay; what is left of its balance is yours to pay back.
    """
    with context.session() as session:
        row = accounts.get(session, name)
        left = format_amount(ledger.balance(session, row.id).available, row.plan.currency)
    if not yes:
        click.confirm(f"Close the account {name} for good ({left.strip()} left)?", abort=True)
    with context.transaction() as session:
        row = accounts.get(session, name)
        accounts.close(session, row, utcnow())
        audit.record(session, row.id, context.actor, "account.close", name=name)
        data = describe(session, row)
    emit(data, as_json, lambda: f"account {name} is closed")


def register(group: click.Group) -> None:
    group.add_command(account)
