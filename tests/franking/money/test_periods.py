"""Counts begin anew with the day and the month, and only then."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from franking.db import Database
from franking.mail.acceptance import Outcome
from franking.money.periods import day_of, month_of
from franking.money.pricing import Tier
from franking.money.terms import Terms
from tests.franking.seller import Seller


@pytest.mark.parametrize(
    ("since", "counts"),
    [
        (None, False),
        (date(2026, 10, 31), False),
        (date(2026, 11, 1), True),
        (date(2026, 12, 1), True),  # somebody else's midnight has passed
        (date(2026, 12, 2), False),
        (date(2036, 1, 1), False),  # a clock that was wrong
    ],
)
def test_a_month(since: date | None, counts: bool) -> None:
    month = month_of(datetime(2026, 11, 30, 23, 59))
    assert month.so_far(7, since) == (7 if counts else 0)


def test_a_day_has_the_next_one_behind_it() -> None:
    day = day_of(datetime(2026, 12, 31, 1))
    assert (day.first, day.latest) == (date(2026, 12, 31), date(2027, 1, 1))


def test_a_clock_that_was_ahead_does_no_lasting_harm(database: Database) -> None:
    seller = Seller(database, terms=Terms(included=1))
    seller.deposit(1000)
    seller.cap(account=100, credential=100)
    right = seller.now
    seller.now = right + timedelta(days=3650)
    assert [seller.send(name) for name in ("ahead1", "ahead2")] == [Outcome.DELIVER] * 2
    assert "cap" in str(seller.send("ahead3"))
    for days in range(3):
        seller.now = right + timedelta(days=days)
        assert seller.send(f"paid or included {days}") is Outcome.DELIVER
    assert seller.sound()


def test_grace_is_of_paid_units(database: Database) -> None:
    """A message that reaches beyond what is included is let pass like any other."""
    terms = Terms(billing_unit="recipient", included=2, on_empty="grace", grace=3)
    seller = Seller(database, tiers=(Tier(0, 100),), terms=terms)
    assert seller.send("straddles", *(f"{n}@dest.example" for n in range(5))) is Outcome.DELIVER
    assert seller.balance == (-300, 300)
    assert "Insufficient balance" in str(seller.send("beyond"))


def test_what_costs_nothing_passes_a_cap(database: Database) -> None:
    seller = Seller(database, tiers=(Tier(0, 100), Tier(1, 0)))
    seller.deposit(1000)
    assert seller.send("paid") is Outcome.DELIVER
    seller.cap(account=50, credential=0)
    assert seller.send("free") is Outcome.DELIVER
