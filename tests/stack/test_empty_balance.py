"""What a plan does when the balance is empty, and what a price of several tiers comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import expect
import pytest
from expect import LogIn, status
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.money import ledger, reservations
from franking.money.billing import preferences
from franking.money.pricing import Tier
from franking.money.terms import Terms
from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender
from worker.housekeeping.held import deletion


@pytest.fixture
def logged_in(stack: RunningStack) -> Iterator[LogIn]:
    with ExitStack() as sessions:
        yield lambda sender: sessions.enter_context(log_in(stack, sender))


def balance(stack: RunningStack, sender: Sender) -> tuple[int, int]:
    """Available and held."""
    with stack.database.session() as session:
        row = ledger.balance(session, sender.account_id)
        return row.available, row.held


def settled(stack: RunningStack, sender: Sender, count: int) -> None:
    """So many messages are paid, and none is under way."""
    stack.until(lambda: list(expect.reservations(stack, sender).values()) == ["captured"] * count)


@pytest.mark.parametrize(
    ("name", "terms", "passing"),
    [
        ("reject", Terms(), 2),
        ("defer", Terms(on_empty="defer"), 2),
        ("grace", Terms(on_empty="grace", grace=3), 5),
        ("overdraft", Terms(overdraft=2 * UNIT_PRICE), 4),
    ],
    ids=["reject", "defer", "grace", "overdraft"],
)
def test_money_for_two(
    stack: RunningStack, logged_in: LogIn, name: str, terms: Terms, passing: int
) -> None:
    code = "450 4.7.1" if terms.on_empty == "defer" else "554 5.7.1"
    sender = stack.sender(f"empty-{name}", balance=2 * UNIT_PRICE, terms=terms)
    client = logged_in(sender)
    for _ in range(passing):
        queue_id(offer(client, sender))
    said = offer(client, sender)
    assert said.startswith(code) and "Insufficient balance" in said
    settled(stack, sender, passing)
    assert balance(stack, sender) == ((2 - passing) * UNIT_PRICE, 0)
    assert expect.refusal(stack, sender).detail["reply_key"] == "insufficient_balance"
    expect.assert_books_are_right(stack)


def test_held_until_there_is_money(stack: RunningStack, logged_in: LogIn) -> None:
    sender = stack.sender("empty-hold", balance=UNIT_PRICE, terms=Terms(on_empty="hold"))
    client = logged_in(sender)
    to = [f"unpaid{number}@example.net" for number in range(3)]
    sent = [queue_id(offer(client, sender, to=recipient)) for recipient in to]
    stack.delivered(to[0])
    assert [status(stack, queue) for queue in sent[1:]] == ["held", "held"]
    assert [expect.reservations(stack, sender)[queue] for queue in sent[1:]] == ["waiting"] * 2
    assert stack.cli("topup", "0.001", "--account", sender.account)
    stack.delivered(to[1])
    assert status(stack, sent[2]) == "held", "there is money for one"
    assert stack.cli("message", "release", sent[2], "--force")["forced"]
    stack.delivered(to[2])
    settled(stack, sender, 3)
    assert balance(stack, sender) == (2 * -UNIT_PRICE + 1000, 0)
    expect.assert_books_are_right(stack)


def test_given_up_while_it_waits(stack: RunningStack, logged_in: LogIn) -> None:
    """As housekeeping does it with what has waited too long."""
    sender = stack.sender("empty-drop", balance=0, terms=Terms(on_empty="hold"))
    queue = queue_id(offer(logged_in(sender), sender))
    stack.until((stack.instance.spool / "hold" / queue).exists)
    assert deletion(stack.instance.postfix)([queue])
    stack.until(lambda: status(stack, queue) == "voided")
    assert balance(stack, sender) == (0, 0)
    assert expect.kinds(stack, queue) == ["accepted", "held", "voided"]


def test_half_a_tier_in_one_message(stack: RunningStack, logged_in: LogIn) -> None:
    """Two units included, three at 5, the rest at 2: four recipients, then three."""
    terms = Terms(billing_unit="recipient", included=2)
    sender = stack.sender("tiers", balance=100, terms=terms, tiers=[Tier(0, 5), Tier(3, 2)])
    client = logged_in(sender)
    first = queue_id(offer(client, sender, to=[f"t{n}@example.net" for n in range(4)]))
    second = queue_id(offer(client, sender, to=[f"u{n}@example.net" for n in range(3)]))
    settled(stack, sender, 2)
    assert balance(stack, sender) == (100 - 2 * 5 - (5 + 2 * 2), 0)
    with stack.database.session() as session:
        priced = [
            reservations.of_message(session, stack.settings.node, each) for each in (first, second)
        ]
        assert [row and row.parts for row in priced] == [
            [[2, 0, 0], [2, 1, 5]],
            [[1, 1, 5], [2, 2, 2]],
        ]


def test_a_days_spending_has_a_cap(stack: RunningStack, logged_in: LogIn) -> None:
    sender = stack.sender("capped")
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        preferences.change(session, account, daily_cap=2 * UNIT_PRICE)
    client = logged_in(sender)
    for _ in range(2):
        queue_id(offer(client, sender))
    assert "Daily spending cap of this account reached" in offer(client, sender)
