"""`franking plan`: what a message costs, and what may be sent."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.rules import PROFILES, Rules, plain, rules_of, stored
from franking.cli import rules as rule_arguments
from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.money import pricing
from franking.money.amounts import format_amount, parse_amount
from franking.money.models import Plan

profile_option = click.option(
    "--profile", type=click.Choice(list(PROFILES)), help="Start from the rules of this profile."
)


@click.group()
def plan() -> None:
    """Create, change and list plans."""


def describe(session: Session, row: Plan) -> dict[str, Any]:
    return {
        "plan": row.name,
        "currency": row.currency,
        "unit_price_micros": pricing.price_at(session, row.id, utcnow()).unit_price,
        "rules": plain(rules_of(row.rules)),
    }


def _print(data: dict[str, Any], rules: Rules, *, changed_only: bool = False) -> str:
    price = format_amount(data["unit_price_micros"], data["currency"])
    shown = rule_arguments.lines(rules, changed_only=changed_only)
    return "\n".join([f"plan {data['plan']}: {price}", *(f"  {line}" for line in shown)])


@plan.command("create")
@click.argument("name")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--price", required=True, help="Price of one message, e.g. 0.001.")
@profile_option
@rule_arguments.rule_options
@json_option
@click.pass_obj
def create(
    context: Context,
    *,
    name: str,
    currency: str,
    price: str,
    profile: str | None,
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create the plan NAME with one price per message."""
    micros = parse_amount(price)
    with context.transaction() as session:
        chosen = rule_arguments.edited(PROFILES[profile or "standard"], rules, limits)
        row = pricing.create_plan(session, name, currency=currency, unit_price=micros)
        row.rules = stored(chosen)
        audit.record(
            session,
            None,
            context.actor,
            "plan.create",
            plan=name,
            rules=plain(chosen),
        )
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen, changed_only=True))


@plan.command("set")
@click.argument("name")
@profile_option
@rule_arguments.rule_options
@json_option
@click.pass_obj
def set_(
    context: Context,
    *,
    name: str,
    profile: str | None,
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change rules of the plan NAME; they hold for all its accounts from the next message on."""
    with context.transaction() as session:
        row = pricing.plan_named(session, name)
        before = rules_of(row.rules)
        chosen = rule_arguments.edited(PROFILES[profile] if profile else before, rules, limits)
        row.rules = stored(chosen)
        audit.record(
            session,
            None,
            context.actor,
            "plan.set",
            plan=name,
            before=plain(before),
            after=plain(chosen),
        )
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen))


@plan.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(context: Context, name: str, as_json: bool) -> None:
    """Show the price and all rules of the plan NAME."""
    with context.session() as session:
        row = pricing.plan_named(session, name)
        chosen = rules_of(row.rules)
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen))


@plan.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all plans with their present price."""
    with context.session() as session:
        rows = [describe(session, row) for row in session.scalars(select(Plan).order_by(Plan.name))]
    emit(
        rows,
        as_json,
        lambda: table(
            ("plan", "price per message"),
            [(r["plan"], format_amount(r["unit_price_micros"], r["currency"])) for r in rows],
        ),
    )


def register(group: click.Group) -> None:
    group.add_command(plan)
