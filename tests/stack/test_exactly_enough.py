"""100 SMTP sessions at once, and money for 1,000 messages: 1,000 are accepted, and not one more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import expect
import pytest
from sessions import log_in, offer

from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

SESSIONS = 100
EACH = 11
AFFORDABLE = 1000

pytestmark = [pytest.mark.alone, pytest.mark.slow]


def send(stack: RunningStack, sender: Sender) -> list[str]:
    """The last reply to each of a session's messages; a temporary one is tried again."""
    replies: list[str] = []
    with log_in(stack, sender) as client:
        while len(replies) < EACH:
            said = offer(client, sender)
            if not said.startswith("4"):
                replies.append(said)
    return replies


def test_exactly_enough(stack: RunningStack) -> None:
    sender = stack.sender("enough", balance=AFFORDABLE * UNIT_PRICE + UNIT_PRICE - 1)
    with ThreadPoolExecutor(SESSIONS) as pool:
        sessions = [pool.submit(send, stack, sender) for _ in range(SESSIONS)]
        replies = [said for each in sessions for said in each.result()]
    accepted = [said for said in replies if said.startswith("250 ")]
    refused = [said for said in replies if not said.startswith("250 ")]
    assert len(accepted) == AFFORDABLE
    assert all(said.startswith("554 5.7.1 ") for said in refused)
    assert all("Insufficient balance" in said for said in refused)
    stack.until(lambda: set(expect.reservations(stack, sender).values()) == {"captured"}, 60)
    assert len(expect.reservations(stack, sender)) == AFFORDABLE
    assert expect.available(stack, sender) == UNIT_PRICE - 1
    expect.assert_books_are_right(stack)
