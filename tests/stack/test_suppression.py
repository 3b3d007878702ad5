"""Suppression on the wire: its scopes, and the plan that drops instead of refusing."""

from __future__ import annotations

import expect
import pytest
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.accounts.rules import Rules
from franking.mail import suppressions
from stack.running import RunningStack, Sender


def suppress(stack: RunningStack, sender: Sender, address: str, scope: str = "account") -> None:
    kind, _, name = scope.partition(":")
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        suppressions.add(session, account, address, scope=kind, scope_name=name)


@pytest.fixture(scope="module")
def scopes(stack: RunningStack) -> Sender:
    return stack.sender("suppression-scopes")


@pytest.mark.parametrize(
    ("scope", "refused"),
    [
        ("account", True),
        ("domain:suppression-scopes.test", True),
        ("domain:other.example", False),
        ("stream:default", True),
        ("stream:news", False),
    ],
)
def test_scopes(stack: RunningStack, scopes: Sender, scope: str, refused: bool) -> None:
    sender = scopes
    address = f"{scope.replace(':', '-')}@example.net"
    suppress(stack, sender, address, scope)
    with log_in(stack, sender) as client:
        said = offer(client, sender, to=address)
    assert said.startswith("550 5.7.1 " if refused else "250 "), said


def test_a_list_with_many_suppressed_addresses_reaches_the_others(stack: RunningStack) -> None:
    """Each is an error to Postfix, which hangs up after 20 unless it is told otherwise."""
    sender = stack.sender("suppression-many")
    gone = [f"gone-{number}@example.net" for number in range(30)]
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        for address in gone:
            suppressions.add(session, account, address)
    with log_in(stack, sender) as client:
        assert offer(client, sender, to=[*gone, "still-here@example.net"]).startswith("250 ")
    assert stack.delivered("still-here@example.net").recipients == ["still-here@example.net"]


def test_another_accounts_list_is_not_ours(stack: RunningStack) -> None:
    suppress(stack, stack.sender("suppression-theirs"), "free@example.net")
    sender = stack.sender("suppression-ours")
    with log_in(stack, sender) as client:
        assert offer(client, sender, to="free@example.net").startswith("250 ")


def test_a_plan_may_drop_instead(stack: RunningStack) -> None:
    sender = stack.sender("suppression-drop", rules=Rules(suppressed="drop"))
    before = expect.available(stack, sender)
    suppress(stack, sender, "gone@example.net")
    with log_in(stack, sender) as client:
        both = queue_id(offer(client, sender, to=["Gone@example.net", "dropped@example.net"]))
        none = queue_id(offer(client, sender, to="gone@example.net"))
    delivery = stack.delivered("dropped@example.net")
    assert delivery.recipients == ["dropped@example.net"]
    stack.until(lambda: expect.stored(stack, both).status == "delivered")
    assert set(expect.kinds(stack, both)) == {"accepted", "suppressed", "delivered"}
    assert expect.kinds(stack, none) == ["accepted", "suppressed"]
    stack.until(lambda: expect.available(stack, sender) == before - expect.stored(stack, both).cost)
    assert expect.stored(stack, none).cost == 0
    assert not [d for d in stack.deliveries() if "gone@example.net" in map(str.lower, d.recipients)]
