"""An operator's verdict on what evidence could not settle."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from franking.accounts.models import RateCounter
from franking.db import Database
from franking.mail import messages, unsettled
from franking.mail.unsettled import Verdict
from franking.reasons import Invalid, NotFound
from tests.franking.seller import NODE, NOW, Seller


@pytest.fixture
def seller(database: Database) -> Seller:
    made = Seller(database)
    made.deposit(1_000)
    made.cap(account=500, credential=500)
    made.rule("5/day")
    made.send("A", "a@dest.example", "b@dest.example")
    made.settle("unknown", "A")
    return made


def decide(seller: Seller, verdict: Verdict, queue_id: str = "A") -> None:
    with seller.database.transaction() as session:
        unsettled.settle(session, NODE, queue_id, verdict, note="I looked", now=NOW)


def counted(seller: Seller) -> int:
    with seller.database.session() as session:
        return session.scalars(select(RateCounter.used)).one()


def test_voided(seller: Seller) -> None:
    assert (seller.balance, counted(seller), seller.used) == ((900, 100), 1, (1, 100, 100))
    decide(seller, "voided")
    assert (seller.balance, counted(seller), seller.used) == ((1_000, 0), 0, (0, 0, 0))
    row, message = seller.reservation("A"), seller.message("A")
    assert (row.state, row.evidence) == ("voided", "operator: I looked")
    assert (message.status, message.cost) == ("voided", 0)
    with seller.database.session() as session:
        told = messages.timeline(session, message)[-1]
        assert (told.kind, told.reply) == ("voided", "operator: I looked")
    assert seller.sound()


def test_captured(seller: Seller) -> None:
    decide(seller, "captured")
    assert (seller.balance, counted(seller), seller.used) == ((900, 0), 1, (1, 100, 100))
    assert (seller.reservation("A").state, seller.message("A").status) == ("captured", "queued")
    assert seller.sound()


@pytest.mark.parametrize("first", ["captured", "voided"])
@pytest.mark.parametrize("second", ["captured", "voided"])
def test_once(seller: Seller, first: Verdict, second: Verdict) -> None:
    decide(seller, first)
    before = (seller.balance, counted(seller), seller.used)
    with pytest.raises(Invalid, match=f"is {first}, not unknown"):
        decide(seller, second)
    assert (seller.balance, counted(seller), seller.used) == before


@pytest.mark.parametrize("verdict", ["captured", "voided"])
def test_only_what_is_unknown(seller: Seller, verdict: Verdict) -> None:
    seller.send("B")
    with pytest.raises(Invalid, match="is reserved"):
        decide(seller, verdict, "B")
    with pytest.raises(NotFound):
        decide(seller, verdict, "C")
    assert counted(seller) == 2 and seller.balance == (800, 200)
