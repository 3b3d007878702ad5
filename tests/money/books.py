"""What the books must say: an independent account of the same facts, unit by unit.

Nothing in here asks the code under test.  Amounts in micro-units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

OPEN = ("reserved", "unknown")  # its money is held
SPENT = ("reserved", "unknown", "captured")


class Price(NamedTuple):
    tier: int
    amount: int


@dataclass(frozen=True)
class Prices:
    """A price list (`[(above, unit price), ...]`) and the units that the plan includes."""

    tiers: tuple[tuple[int, int], ...]
    included: int

    def of_unit(self, before: int) -> Price:
        """The price of one more unit in a month that has had so many before it."""
        if before < self.included:
            return Price(0, 0)
        number = sum(1 for above, _ in self.tiers if above <= before - self.included)
        return Price(number, self.tiers[number - 1][1])

    def of_units(self, units: int, before: int) -> list[Price]:
        return [self.of_unit(before + each) for each in range(units)]


@dataclass(frozen=True)
class Agreed:
    """What held for a message when its verdict was passed.

    `waits`: for money, when there is none; `holds`: what exceeds a limit waits, too.
    """

    prices: Prices
    units: int
    floor: int
    waits: bool
    holds: bool
    daily_cap: int | None
    credential_cap: int | None
    now: datetime


@dataclass
class Sent:
    """A message that was accepted for money.

    `day` is the one that it counts in, once it does; `capped_on` the same for its credential, if
    that has a cap.  Both are its own unless it was late.
    """

    queue_id: str
    account_id: int
    credential_id: int
    units: int
    prices: list[Price]
    state: str
    reserved_at: datetime | None = None
    day: date | None = None
    capped_on: date | None = None
    refunded: int = 0

    @property
    def amount(self) -> int:
        return sum(price.amount for price in self.prices)

    def due(self, failed: int, written_to: int) -> int:
        """What is given back when the relay itself has failed so many of its recipients."""
        if self.state != "captured":
            return 0
        if self.units == written_to:  # the last units first
            return sum(price.amount for price in self.prices[self.units - failed :])
        return self.amount if failed == written_to else 0

    def counts_for(self, counted_on: date | None) -> bool:
        """A voided one does not, unless it was late: it counts for a time that is not its own."""
        if counted_on is None or self.reserved_at is None:
            return False
        return self.state != "voided" or self.reserved_at.date() != counted_on


@dataclass
class Account:
    """`booked`: what moved `available` by hand, by reference.

    `latest`: the last day counted, by the account (None) and by each of its credentials.
    """

    id: int
    booked: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    latest: dict[int | None, date] = field(default_factory=dict)

    @property
    def available(self) -> int:
        used = sum(each.amount for each in self.sent.values() if each.state in SPENT)
        back = sum(each.refunded for each in self.sent.values())
        return sum(self.booked.values()) - used + back

    @property
    def held(self) -> int:
        return sum(each.amount for each in self.sent.values() if each.state in OPEN)

    def day_of(self, now: datetime, credential_id: int | None = None) -> date:
        """A message that took its time over midnight counts for the day that has begun."""
        return max(self.latest.get(credential_id, date.min), now.date())

    def volume(self, day: date) -> int:
        """Units of the day's month."""
        return sum(
            each.units
            for each in self.sent.values()
            if each.day is not None
            and month(each.day) == month(day)
            and (each.state != "voided" or _late_by_a_month(each))
        )

    def spent(self, day: date) -> int:
        counted = (e for e in self.sent.values() if e.day == day and e.counts_for(e.day))
        return sum(each.amount for each in counted)

    def spent_by(self, credential_id: int, day: date) -> int:
        """As far as its cap counts it."""
        own = (e for e in self.sent.values() if e.credential_id == credential_id)
        counted = (e for e in own if e.capped_on == day and e.counts_for(e.capped_on))
        return sum(each.amount for each in counted)

    def verdict(self, agreed: Agreed, credential_id: int) -> tuple[str, list[Price]]:
        """What becomes of a message: reserved, waiting, empty or capped."""
        day = self.day_of(agreed.now)
        prices = agreed.prices.of_units(agreed.units, self.volume(day))
        amount = sum(price.amount for price in prices)
        if amount and self.available - amount < -agreed.floor:
            return ("waiting" if agreed.waits else "empty"), prices
        capped = self.over_cap(agreed, credential_id, amount)
        return ("capped" if capped else "reserved"), prices

    def over_cap(self, agreed: Agreed, credential_id: int, amount: int) -> bool:
        """What costs nothing never is."""
        day, own_day = self.day_of(agreed.now), self.day_of(agreed.now, credential_id)
        caps = (
            (agreed.daily_cap, self.spent(day)),
            (agreed.credential_cap, self.spent_by(credential_id, own_day)),
        )
        return any(cap is not None and amount and spent + amount > cap for cap, spent in caps)

    def count(self, sent: Sent, now: datetime, *, capped: bool) -> None:
        """Its money is reserved from now on."""
        sent.reserved_at = now
        sent.day = self.latest[None] = self.day_of(now)
        if capped:
            sent.capped_on = self.day_of(now, sent.credential_id)
            self.latest[sent.credential_id] = sent.capped_on


def month(day: date) -> date:
    return day.replace(day=1)


def _late_by_a_month(sent: Sent) -> bool:
    own, counted = sent.reserved_at, sent.day
    return own is not None and counted is not None and month(own.date()) != month(counted)
