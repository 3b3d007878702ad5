"""Plans and what a message costs on them.  Amounts in micro-units."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import utcnow
from franking.money.models import Plan, PriceTier
from franking.reasons import Invalid, NotFound


def create_plan(
    session: Session, name: str, *, currency: str, unit_price: int, now: datetime | None = None
) -> Plan:
    """A plan with one price per message from now on."""
    if len(currency) != 3 or not currency.isalpha():
        raise Invalid(f"{currency!r} is not an ISO 4217 currency code such as EUR")
    if unit_price < 0:
        raise Invalid("a price cannot be negative")
    plan = Plan(name=name, currency=currency.upper())
    session.add(plan)
    session.flush()
    session.add(PriceTier(plan_id=plan.id, unit_price=unit_price, starts_at=now or utcnow()))
    session.flush()
    return plan


def plan_named(session: Session, name: str) -> Plan:
    plan = session.scalar(select(Plan).where(Plan.name == name))
    if plan is None:
        raise NotFound(f"there is no plan {name!r}")
    return plan


def price_at(session: Session, plan_id: int, moment: datetime) -> PriceTier:
    """The price that applies at a moment; NotFound when the plan has none yet."""
    tier = session.scalar(
        select(PriceTier)
        .where(PriceTier.plan_id == plan_id, PriceTier.starts_at <= moment)
        .order_by(PriceTier.starts_at.desc())
        .limit(1)
    )
    if tier is None:
        raise NotFound("the plan has no price yet")
    return tier
