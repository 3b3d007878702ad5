"""Where an account stands: in its plan's prices this month, and with mail that waits for money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.mail.models import HeldMessage, Message
from franking.money import ledger, pricing
from franking.money.models import Plan, PriceList
from franking.money.periods import month_of
from franking.money.pricing import INCLUDED, Tariff
from franking.money.terms import terms_of
from franking.reasons import NotFound


@dataclass(frozen=True)
class Step:
    """Units of a month from `begins` to before `ends` (None: no end) cost `unit_price` each.

    Number 0 are those that the plan includes, 1 is the first tier.
    """

    number: int
    begins: int
    ends: int | None
    unit_price: int


@dataclass(frozen=True)
class Position:
    """`volume` units were used this month; the next one is in `steps[at]`."""

    volume: int
    steps: tuple[Step, ...]
    at: int

    @property
    def now(self) -> Step:
        return self.steps[self.at]

    @property
    def following(self) -> Step | None:
        return self.steps[self.at + 1] if self.at + 1 < len(self.steps) else None

    @property
    def to_next(self) -> int | None:
        """Units until another price holds."""
        return None if self.now.ends is None else self.now.ends - self.volume

    @property
    def percent(self) -> int | None:
        """How much of the present step is used."""
        step = self.now
        if step.ends is None:
            return None
        return 100 * (self.volume - step.begins) // (step.ends - step.begins)

    @property
    def included(self) -> int:
        """Units a month that cost nothing."""
        first = self.steps[0]
        return first.ends or 0 if first.number == INCLUDED else 0


@dataclass(frozen=True)
class Waiting:
    """Messages that were accepted on an empty balance and are held; together they cost this."""

    messages: int
    amount: int


def position(session: Session, account: Account, now: datetime) -> Position | None:
    """None while the plan has no price."""
    try:
        tariff = pricing.tariff_at(session, account.plan, now)
    except NotFound:
        return None
    balance = ledger.balance(session, account.id)
    volume = month_of(now).so_far(balance.volume, balance.period)
    return at_volume(tariff, volume)


def at_volume(tariff: Tariff, volume: int) -> Position:
    steps = steps_of(tariff)
    at = max(index for index, step in enumerate(steps) if step.begins <= volume)
    return Position(volume, steps, at)


def steps_of(tariff: Tariff) -> tuple[Step, ...]:
    """The tiers, and before them what is included, as stretches of a month's units."""
    begins = [(INCLUDED, 0, 0)] if tariff.included else []
    begins += [
        (number, tariff.included + tier.above, tier.unit_price)
        for number, tier in enumerate(tariff.tiers, 1)
    ]
    ends: list[int | None] = [start for _, start, _ in begins[1:]]
    return tuple(
        Step(number, start, end, price)
        for (number, start, price), end in zip(begins, [*ends, None], strict=True)
    )


def coming(session: Session, plan: Plan, now: datetime) -> PriceList | None:
    """The next price list that has not begun."""
    query = select(PriceList).where(PriceList.plan_id == plan.id, PriceList.starts_at > now)
    return session.scalars(query.order_by(PriceList.starts_at).limit(1)).first()


def steps_of_list(prices: PriceList, plan: Plan) -> Sequence[Step]:
    included = terms_of(plan.terms).included
    return steps_of(pricing.tariff(prices.id, prices.tiers, included))


def waiting(session: Session, account: Account) -> Waiting:
    """By credential, as the index of held mail is."""
    own = select(Credential.id).where(Credential.account_id == account.id)
    query = (
        select(func.count(), func.coalesce(func.sum(Message.cost), 0))
        .select_from(HeldMessage)
        .join(
            Message,
            (Message.queue_id == HeldMessage.queue_id) & (Message.node == HeldMessage.node),
        )
        .where(
            HeldMessage.credential_id.in_(own),
            HeldMessage.unpaid,
            HeldMessage.granted_at.is_(None),
            HeldMessage.released_at.is_(None),
        )
    )
    messages, amount = session.execute(query).one()
    return Waiting(messages, int(amount))
