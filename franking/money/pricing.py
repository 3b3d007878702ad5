"""Plans, and what sending costs on them.  Amounts in micro-units.

What is counted is a *unit*: a message or a recipient, as the plan's terms say.  A plan has price
lists, each with the date on which it begins.  A list has tiers by the units of a calendar month
(UTC): beyond `above` of them, one costs `unit_price`.  Units that the plan includes come first,
cost nothing and do not count for the tiers.  A message that reaches into the next tier is priced
unit by unit.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import utcnow
from franking.money.amounts import LARGEST
from franking.money.models import Plan, PriceList
from franking.money.terms import Terms, stored, terms_of
from franking.reasons import Invalid, NotFound, Taken

INCLUDED = 0  # the tier of units that cost nothing
MOST_TIERS = 20


@dataclass(frozen=True)
class Tier:
    """Units beyond the first `above` of a month cost this each."""

    above: int
    unit_price: int


@dataclass(frozen=True)
class Part:
    """So many units at one price; tiers are numbered from 1, 0 is included in the plan."""

    units: int
    tier: int
    unit_price: int


@dataclass(frozen=True)
class Quote:
    """What some units cost; `parts` are in the order in which the month's volume reaches them."""

    parts: tuple[Part, ...]

    @property
    def units(self) -> int:
        return sum(part.units for part in self.parts)

    @property
    def amount(self) -> int:
        return sum(part.units * part.unit_price for part in self.parts)


@dataclass(frozen=True)
class Tariff:
    """A price list together with the units that the plan includes."""

    price_list_id: int
    tiers: tuple[Tier, ...]
    included: int = 0

    @property
    def flat(self) -> bool:
        """Every unit costs the same, however many there were before."""
        return not self.included and len(self.tiers) == 1

    def quote(self, units: int, volume: int) -> Quote:
        """The next `units` of a month that has had `volume` of them."""
        steps = [(0, INCLUDED, 0)] if self.included else []
        steps += [
            (self.included + tier.above, number, tier.unit_price)
            for number, tier in enumerate(self.tiers, 1)
        ]
        ends = [begins for begins, _, _ in steps[1:]]
        parts, at, until = [], volume, volume + units
        for (_, number, price), end in zip(steps, [*ends, until], strict=True):
            taken = min(end, until) - at
            if taken > 0:
                parts.append(Part(taken, number, price))
                at += taken
        return Quote(tuple(parts))

    def next_price(self, volume: int) -> int:
        """Of one more unit."""
        return self.quote(1, volume).amount

    def paid_price(self, volume: int) -> int:
        """Of the next unit that is not included."""
        return self.next_price(max(volume, self.included))


def period_of(moment: datetime) -> date:
    """The first day of the calendar month (UTC) that a moment belongs to."""
    return moment.date().replace(day=1)


@functools.lru_cache(4096)
def tariff(price_list_id: int, tiers: str, included: int) -> Tariff:
    """From what is stored: a price list's `tiers`, a plan's included units."""
    return Tariff(price_list_id, tuple(Tier(*pair) for pair in json.loads(tiers)), included)


def create_plan(
    session: Session,
    name: str,
    *,
    currency: str,
    unit_price: int | None = None,
    tiers: Sequence[Tier] = (),
    terms: Terms | None = None,
    now: datetime | None = None,
) -> Plan:
    """A plan with one price, or with tiers, from now on."""
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise Invalid(f"{currency!r} is not an ISO 4217 currency code such as EUR")
    if session.scalar(select(Plan.id).where(Plan.name == name)):
        raise Taken(f"there is a plan {name!r} already")
    chosen = terms or Terms()
    first = tiers or ([] if unit_price is None else [Tier(0, unit_price)])
    plan = Plan(name=name, currency=currency.upper(), terms=stored(chosen))
    session.add(plan)
    session.flush()
    begins = now or utcnow()
    set_price(session, plan, first, starts_at=begins, now=begins)
    return plan


def set_price(
    session: Session, plan: Plan, tiers: Sequence[Tier], *, starts_at: datetime, now: datetime
) -> PriceList:
    """Prices from `starts_at` on: now or later, because what was sent has its price already.

    Replaces a list that was to begin at the very same time and has not begun.
    """
    _check(tiers)
    if starts_at < now:
        raise Invalid.of("starts_at", "a price cannot begin in the past")
    text = json.dumps([[tier.above, tier.unit_price] for tier in tiers])
    found = session.scalar(
        select(PriceList).where(PriceList.plan_id == plan.id, PriceList.starts_at == starts_at)
    )
    if found is None:
        found = PriceList(plan_id=plan.id, tiers=text, starts_at=starts_at)
        session.add(found)
    elif starts_at > now:
        found.tiers = text
    else:
        raise Taken("a price list that has begun is never changed; let the new one begin later")
    session.flush()
    return found


def withdraw_price(session: Session, plan: Plan, price_list_id: int, *, now: datetime) -> None:
    """Take back prices that have not begun; raises NotFound, or Invalid when they have."""
    found = session.get(PriceList, price_list_id)
    if found is None or found.plan_id != plan.id:
        raise NotFound(f"plan {plan.name!r} has no price list {price_list_id}")
    if found.starts_at <= now:
        raise Invalid("these prices have begun; set others that begin now or later")
    session.delete(found)
    session.flush()


def _check(tiers: Sequence[Tier]) -> None:
    if not tiers:
        raise Invalid.of("price", "say what a message costs, such as 0.001")
    if len(tiers) > MOST_TIERS:
        raise Invalid.of("price", f"more than {MOST_TIERS} tiers")
    if tiers[0].above != 0:
        raise Invalid.of("price", "the first tier must begin at 0")
    if any(later.above <= earlier.above for earlier, later in itertools.pairwise(tiers)):
        raise Invalid.of("price", "each tier must begin above the one before it")
    if any(tier.unit_price < 0 for tier in tiers):
        raise Invalid.of("price", "a price cannot be negative")
    if any(tier.unit_price > LARGEST // 10**6 or tier.above > 10**12 for tier in tiers):
        raise Invalid.of("price", "a price or a tier's beginning is too large")


def plan_named(session: Session, name: str) -> Plan:
    plan = session.scalar(select(Plan).where(Plan.name == name))
    if plan is None:
        raise NotFound(f"there is no plan {name!r}")
    return plan


def price_lists(session: Session, plan: Plan) -> Sequence[PriceList]:
    """All of them, the newest first; those that have not begun are among them."""
    query = select(PriceList).where(PriceList.plan_id == plan.id)
    return session.scalars(query.order_by(PriceList.starts_at.desc())).all()


def tariff_at(session: Session, plan: Plan, moment: datetime) -> Tariff:
    """What holds at a moment; NotFound when the plan has no price yet."""
    found = session.scalar(
        select(PriceList)
        .where(PriceList.plan_id == plan.id, PriceList.starts_at <= moment)
        .order_by(PriceList.starts_at.desc())
        .limit(1)
    )
    if found is None:
        raise NotFound("the plan has no price yet")
    return tariff(found.id, found.tiers, terms_of(plan.terms).included)
