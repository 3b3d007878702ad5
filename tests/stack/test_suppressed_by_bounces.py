"""What the next message meets after a bounce."""

from __future__ import annotations

from collections.abc import Sequence

import expect
import pytest
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.db import utcnow
from franking.mail import suppression_pages, suppressions
from franking.mail.suppression_pages import Filter, Listed
from stack.running import RunningStack, Sender

SPAM = "550 5.7.1 The content of this message looks like spam (sink)"


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("suppressed-by-bounces")


def bounced(stack: RunningStack, sender: Sender, address: str) -> str:
    """Send a message and wait until it has bounced; returns its queue ID."""
    with log_in(stack, sender) as client:
        identity = queue_id(offer(client, sender, to=address))
    stack.until(lambda: expect.stored(stack, identity).status == "bounced")
    return identity


def listed(stack: RunningStack, sender: Sender, address: str) -> Sequence[Listed]:
    with stack.database.session() as session:
        account = accounts.get(session, sender.account)
        return suppression_pages.search(session, account, Filter(address), utcnow())


def test_s2_13_a_hard_bounce_suppresses_until_it_is_removed(
    stack: RunningStack, sender: Sender
) -> None:
    address = "bounce-once@example.net"
    first = bounced(stack, sender, address)
    with log_in(stack, sender) as client:
        assert offer(client, sender, to=address).startswith("550 5.7.1 ")
        assert offer(client, sender, to="somebody@example.net").startswith("250 ")
    (found,) = listed(stack, sender, address)
    assert (found.entry.reason, found.entry.expires_at) == ("hard_bounce", None)
    assert found.event is not None and found.event.queue_id == first
    with stack.database.transaction() as session:
        suppressions.remove(session, accounts.get(session, sender.account), address)
    bounced(stack, sender, address)
    (found,) = listed(stack, sender, address)
    assert found.entry.reason == "hard_bounce"


def test_s2_13_soft_bounces_suppress_when_they_repeat(stack: RunningStack, sender: Sender) -> None:
    address = "full-often@example.net"
    for _ in range(stack.settings.suppressions.soft_failures):
        assert listed(stack, sender, address) == []
        bounced(stack, sender, address)
    (found,) = listed(stack, sender, address)
    assert found.entry.reason == "soft_bounce" and found.entry.expires_at is not None
    with log_in(stack, sender) as client:
        assert "soft_bounce" in offer(client, sender, to=address)


def test_a_refusal_of_the_content_suppresses_nobody(stack: RunningStack, sender: Sender) -> None:
    replies = stack.instance.sink_journal.with_suffix(".replies")
    replies.mkdir(exist_ok=True)
    (replies / "say-spam-to-suppress").write_text(SPAM)
    for _ in range(2):
        bounced(stack, sender, "say-spam-to-suppress@example.net")
    assert listed(stack, sender, "say-spam-to-suppress") == []
