"""The early answer about money: at RCPT for one recipient, at DATA for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from franking.db import Database
from franking.money.terms import OnEmpty, Terms
from policyd.connections import Connections
from policyd.decide import Decider
from policyd.delegation import Request
from policyd.node import NodeState
from tests.franking.seller import Seller

REFUSED = "554 5.7.1 Insufficient balance https://p/e/insufficient_balance"


@dataclass
class Dialogue:
    seller: Seller

    def ask(self, state: str = "RCPT", count: str = "0") -> str:
        request = Request(
            protocol_state=state,
            recipient="a@dest.example" if state == "RCPT" else "",
            sender="a@example.com",
            recipient_count=count,
            sasl_username=self.seller.username,
        )
        decider = Decider(self.seller.database, NodeState("n1"), Connections())
        return decider.decide(request, self.seller.now).action("https://p")


def dialogue(database: Database, money: int, **terms: object) -> Dialogue:
    seller = Seller(database, terms=Terms(**terms))  # type: ignore[arg-type]
    if money:
        seller.deposit(money)
    return Dialogue(seller)


@pytest.mark.parametrize(("count", "said"), [("0", "DUNNO"), ("3", "DUNNO"), ("4", REFUSED)])
def test_all_recipients_at_data(database: Database, count: str, said: str) -> None:
    asked = dialogue(database, 399, billing_unit="recipient")
    assert asked.ask() == "DUNNO"
    assert asked.ask("DATA", count) == said


def test_a_message_is_one_unit(database: Database) -> None:
    assert dialogue(database, 100).ask("DATA", "50") == "DUNNO"


def test_suppressed_ones_may_be_among_them(database: Database) -> None:
    """Where they are left out, only milterd knows how many are written to."""
    asked = dialogue(database, 100, billing_unit="recipient")
    asked.seller.rule(suppressed="drop")
    assert asked.ask("DATA", "50") == "DUNNO"


@pytest.mark.parametrize("count", ["", "x", "²", "-1", "0"])
def test_a_count_that_is_none(database: Database, count: str) -> None:
    assert dialogue(database, 100, billing_unit="recipient").ask("DATA", count) == "DUNNO"


@pytest.mark.parametrize(
    ("on_empty", "said"),
    [
        ("reject", REFUSED),
        ("defer", REFUSED.replace("554 5.7.1", "450 4.7.1")),
        ("hold", "DUNNO"),
    ],
)
def test_the_plan_says_what_happens(database: Database, on_empty: OnEmpty, said: str) -> None:
    asked = dialogue(database, 99, on_empty=on_empty)
    assert (asked.ask(), asked.ask("DATA", "1")) == (said, said)


@pytest.mark.parametrize(
    "terms", [{"overdraft": 100}, {"on_empty": "grace", "grace": 1}, {"included": 1}]
)
def test_one_more_is_one_more(database: Database, terms: dict[str, object]) -> None:
    asked = dialogue(database, 0, **terms)
    assert asked.ask() == "DUNNO"
    asked.seller.send("A")
    assert asked.ask() == REFUSED


def test_caps(database: Database) -> None:
    asked = dialogue(database, 10_000, on_empty="hold")
    asked.seller.cap(account=150)
    assert asked.ask() == "DUNNO"
    asked.seller.send("A")
    assert "450 4.7.1 Daily spending cap of this account reached" in asked.ask()
    asked.seller.cap(credential=0)
    assert "cap of this API key reached" in asked.ask()


def test_nothing_is_moved(database: Database) -> None:
    asked = dialogue(database, 100)
    asked.ask()
    asked.ask("DATA", "1")
    assert (asked.seller.balance, asked.seller.used) == ((100, 0), (0, 0, 0))
