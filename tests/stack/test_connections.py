"""Limits that policyd keeps itself: connections at the same time, recipients, a draining node."""

from __future__ import annotations

from contextlib import ExitStack

from sessions import log_in, offer

from franking.accounts.rules import Rules
from franking.db import utcnow
from franking.nodes import nodes
from stack.running import RunningStack, Sender


def test_connections_at_the_same_time(stack: RunningStack) -> None:
    sender = stack.sender("connections", rules=Rules(max_connections=2))
    with ExitStack() as sessions:
        first, second, third = (sessions.enter_context(log_in(stack, sender)) for _ in range(3))
        assert offer(first, sender).startswith("250 ")
        assert offer(second, sender).startswith("250 ")
        said = offer(third, sender)
        assert said.startswith("421 4.7.0 ") and "at most 2" in said
        assert offer(first, sender).startswith("250 "), "the first ones go on"
        second.quit()
        assert _passes(stack, sender), "at once"


def _passes(stack: RunningStack, sender: Sender) -> bool:
    with log_in(stack, sender) as client:
        return offer(client, sender).startswith("250 ")


def test_recipients_of_a_message(stack: RunningStack) -> None:
    sender = stack.sender("connections-recipients", rules=Rules(max_recipients=2))
    with log_in(stack, sender) as client:
        client.mail(sender.address)
        codes = [client.rcpt(f"{name}@example.net")[0] for name in ("a", "b", "a", "c")]
        assert codes == [250, 250, 250, 452]
        assert client.data(f"From: <{sender.address}>\r\n\r\nHello\r\n")[0] == 250


def test_a_draining_node_finishes_what_is_under_way(stack: RunningStack) -> None:
    sender = stack.sender("connections-drain")
    node = stack.settings.node
    with log_in(stack, sender) as under_way, log_in(stack, sender) as new:
        under_way.mail(sender.address)
        assert under_way.rcpt("under-way@example.net")[0] == 250
        with stack.database.transaction() as session:
            nodes.introduce(session, node, utcnow())
            nodes.drain(session, node, "maintenance", utcnow())
        try:
            said = stack.until(lambda: _421(offer(new, sender)), patience=3)
            assert said.startswith("421 4.3.2 ") and "Relaying temporarily denied" in said
            assert under_way.rcpt("also@example.net")[0] == 250
            assert under_way.data(f"From: <{sender.address}>\r\n\r\nHello\r\n")[0] == 250
        finally:
            with stack.database.transaction() as session:
                nodes.resume(session, node, utcnow())
    stack.delivered("under-way@example.net")
    stack.until(lambda: _passes(stack, sender), patience=3)


def _421(said: str) -> str | None:
    return said if said.startswith("421 ") else None
