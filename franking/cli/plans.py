"""`franking plan`: what a message costs."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select

from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.money import pricing
from franking.money.amounts import format_amount, parse_amount
from franking.money.models import Plan


@click.group()
def plan() -> None:
    """Create and list plans."""


@plan.command("create")
@click.argument("name")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--price", required=True, help="Price of one message, e.g. 0.001.")
@json_option
@click.pass_obj
def create(context: Context, name: str, currency: str, price: str, as_json: bool) -> None:
    """Create the plan NAME with one price per message."""
    micros = parse_amount(price)
    with context.transaction() as session:
        pricing.create_plan(session, name, currency=currency, unit_price=micros)
    data = {"plan": name, "currency": currency.upper(), "unit_price_micros": micros}
    emit(data, as_json, lambda: f"plan {name}: {format_amount(micros, currency.upper())}")


@plan.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all plans with their present price."""
    now = utcnow()
    with context.session() as session:
        rows: list[dict[str, Any]] = [
            {
                "plan": row.name,
                "currency": row.currency,
                "unit_price_micros": pricing.price_at(session, row.id, now).unit_price,
            }
            for row in session.scalars(select(Plan).order_by(Plan.name))
        ]
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
