"""X-Idempotency-Key on the wire: one message, however often it is sent."""

from __future__ import annotations

import expect
import pytest
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.mail import messages
from stack.running import RunningStack

HEADERS = "From: <{0}>\r\nSubject: Order 42\r\n"


@pytest.mark.parametrize("name", ["X-Idempotency-Key", "Resend-Idempotency-Key"])
def test_a_repeat_is_answered_not_sent_and_not_paid(stack: RunningStack, name: str) -> None:
    sender = stack.sender(f"idempotency-{name.partition('-')[0].lower()}")
    before = expect.available(stack, sender)
    to = f"{sender.account}@example.net"
    headers = f"{HEADERS}{name}: order-42"
    with log_in(stack, sender) as client:
        first = queue_id(offer(client, sender, headers, to=to))
        stack.until(lambda: expect.kinds(stack, first)[-1] == "delivered")
        again = queue_id(offer(client, sender, headers, to=to))
        said = offer(client, sender, headers, to=to, body="Something else\r\n")
        last = queue_id(offer(client, sender, HEADERS.strip(), to=f"last-{to}"))
    assert said.startswith("554 5.6.0 X-Idempotency-Key was used")
    stack.until(lambda: expect.kinds(stack, last)[-1] == "delivered")
    assert len([d for d in stack.deliveries() if d.recipients == [to]]) == 1
    cost = expect.stored(stack, first).cost
    stack.until(lambda: expect.available(stack, sender) == before - 2 * cost)
    with stack.database.session() as session:
        account = accounts.get(session, sender.account)
        assert messages.get(session, account, again).queue_id == first
    assert name.lower().encode() not in stack.delivered(to).content.lower()
