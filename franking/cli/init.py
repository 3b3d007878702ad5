"""`franking init`: create or upgrade the schema, and the first plan."""

from __future__ import annotations

import click
from sqlalchemy import select

from franking import migrations
from franking.cli.context import Context, emit, json_option
from franking.db import Database
from franking.money import pricing
from franking.money.amounts import format_amount, parse_amount
from franking.money.models import Plan


@click.command("init")
@click.option("--plan", default="standard", show_default=True, help="Name of the first plan.")
@click.option("--currency", default="EUR", show_default=True)
@click.option("--price", default="0.001", show_default=True, help="Price of one message.")
@json_option
@click.pass_obj
def init(context: Context, plan: str, currency: str, price: str, as_json: bool) -> None:
    """Create or upgrade the database; make the first plan if there is none."""
    database = Database(context.settings.database_url)
    before = migrations.current(database.engine)
    migrations.upgrade(database.engine)
    after = migrations.current(database.engine)
    with context.transaction() as session:
        existing = session.scalars(select(Plan).order_by(Plan.id)).first()
        if existing is None:
            micros = parse_amount(price)
            pricing.create_plan(session, plan, currency=currency, unit_price=micros)
            made = f"plan {plan!r}: {format_amount(micros, currency)} per message"
        else:
            made = None
    data = {"schema_before": before, "schema": after, "plan_created": made is not None}
    emit(data, as_json, lambda: "\n".join(filter(None, [f"schema {before} → {after}", made])))


def register(group: click.Group) -> None:
    group.add_command(init)
