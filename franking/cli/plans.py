"""`franking plan`: what sending costs, on which terms, and what may be sent."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.rules import PROFILES, Rules, plain, rules_of, stored
from franking.cli import prices
from franking.cli import rules as rule_arguments
from franking.cli import terms as term_arguments
from franking.cli.context import Context, emit, json_option, table
from franking.db import utcnow
from franking.money import pricing
from franking.money.models import Plan
from franking.money.pricing import Tier
from franking.money.terms import Terms, terms_of
from franking.money.terms import stored as stored_terms

profile_option = click.option(
    "--profile", type=click.Choice(list(PROFILES)), help="Start from the rules of this profile."
)


@click.group()
def plan() -> None:
    """Create, change and list plans."""


def describe(session: Session, row: Plan) -> dict[str, Any]:
    tiers = pricing.tariff_at(session, row, utcnow()).tiers
    return {
        "plan": row.name,
        "currency": row.currency,
        "unit_price_micros": tiers[0].unit_price,
        "tiers": prices.plain(tiers),
        "terms": terms_of(row.terms).model_dump(mode="json"),
        "rules": plain(rules_of(row.rules)),
    }


def _price(data: dict[str, Any]) -> str:
    tiers = [Tier(tier["above"], tier["unit_price_micros"]) for tier in data["tiers"]]
    return prices.described(tiers, data["currency"])


def _print(data: dict[str, Any], rules: Rules, *, changed_only: bool = False) -> str:
    terms = Terms.model_validate(data["terms"])
    shown = rule_arguments.lines(rules, changed_only=changed_only)
    return "\n".join(
        [
            f"plan {data['plan']}: {_price(data)} per {terms.billing_unit}",
            "terms",
            *(f"  {line}" for line in term_arguments.lines(terms, data["currency"])),
            *(["rules"] if shown else []),
            *(f"  {line}" for line in shown),
        ]
    )


@plan.command("create")
@click.argument("name")
@click.option("--currency", default="EUR", show_default=True)
@prices.price_options
@term_arguments.term_options
@profile_option
@rule_arguments.rule_options
@json_option
@click.pass_obj
def create(
    context: Context,
    /,
    *,
    name: str,
    currency: str,
    price: str,
    tiers: tuple[Tier, ...],
    profile: str | None,
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
    **terms: Any,
) -> None:
    """Create the plan NAME.

    What is counted and paid is a unit: a message or, with --billing-unit recipient, a recipient.
    """
    with context.transaction() as session:
        chosen = rule_arguments.edited(PROFILES[profile or "standard"], rules, limits)
        agreed = term_arguments.edited(Terms(), terms)
        wanted = prices.tiers_of(price, tiers)
        row = pricing.create_plan(session, name, currency=currency, tiers=wanted, terms=agreed)
        row.rules = stored(chosen)
        audit.record(
            session,
            None,
            context.actor,
            "plan.create",
            plan=name,
            currency=row.currency,
            tiers=prices.plain(wanted),
            terms=agreed.model_dump(mode="json"),
            rules=plain(chosen),
        )
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen, changed_only=True))


@plan.command("set")
@click.argument("name")
@term_arguments.term_options
@profile_option
@rule_arguments.rule_options
@json_option
@click.pass_obj
def set_(
    context: Context,
    /,
    *,
    name: str,
    profile: str | None,
    rules: tuple[str, ...],
    limits: tuple[str, ...],
    as_json: bool,
    **terms: Any,
) -> None:
    """Change terms and rules of the plan NAME, for all its accounts from the next message on.

    Prices are changed with `franking price set`.
    """
    with context.transaction() as session:
        row = pricing.plan_named(session, name)
        before = rules_of(row.rules)
        chosen = rule_arguments.edited(PROFILES[profile] if profile else before, rules, limits)
        row.rules = stored(chosen)
        agreed = terms_of(row.terms)
        changed = term_arguments.edited(agreed, terms)
        row.terms = stored_terms(changed)
        audit.record(
            session,
            None,
            context.actor,
            "plan.set",
            plan=name,
            before=plain(before) | {"terms": agreed.model_dump(mode="json")},
            after=plain(chosen) | {"terms": changed.model_dump(mode="json")},
        )
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen))


@plan.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(context: Context, name: str, as_json: bool) -> None:
    """Show the prices, the terms and all rules of the plan NAME."""
    with context.session() as session:
        row = pricing.plan_named(session, name)
        chosen = rules_of(row.rules)
        data = describe(session, row)
    emit(data, as_json, lambda: _print(data, chosen))


@plan.command("list")
@json_option
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """List all plans with their present prices."""
    with context.session() as session:
        rows = [describe(session, row) for row in session.scalars(select(Plan).order_by(Plan.name))]
    emit(
        rows,
        as_json,
        lambda: table(
            ("plan", "charged by", "price of one"),
            [(r["plan"], r["terms"]["billing_unit"], _price(r)) for r in rows],
        ),
    )


def register(group: click.Group) -> None:
    group.add_command(plan)
