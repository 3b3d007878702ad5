"""May it, now?  The texts are in tests/dialogs/policy-*.txt; here is what becomes an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from franking.db import Base, Database, utcnow
from policyd.authenticate import Unavailable
from policyd.connections import Connections
from policyd.decide import Decider, Decision
from policyd.delegation import Request
from policyd.node import NodeState

PANEL = "https://panel.example.net"
RCPT = Request(
    request="smtpd_access_policy",
    protocol_state="RCPT",
    instance="1f.6a.0.0",
    queue_id="4jWWrZ5NL3zLCyL",
    sender="shop@example.com",
    recipient="someone@example.net",
    recipient_count="0",
    sasl_method="LOGIN",
    client_address="192.0.2.7",
    helo_name="app\x01.example",
    policy_context="submission",
)


def decide(database: Database, request: Request, now: datetime) -> Decision:
    return Decider(database, NodeState("n1"), Connections()).decide(request, now)


def test_yes_is_dunno(database: Database, people: dict[str, str]) -> None:
    decision = decide(database, replace(RCPT, sasl_username=people["user"]), utcnow())
    assert (decision.reply, decision.refusal) == (None, None)
    assert decision.action(PANEL) == "DUNNO"


def test_a_refusal_says_all_that_is_known(database: Database, people: dict[str, str]) -> None:
    now = datetime.now(UTC)
    refusal = decide(database, replace(RCPT, sasl_username=people["poor"]), now).refusal
    assert refusal is not None
    assert refusal.reply.key == "insufficient_balance" and refusal.at == now
    assert (refusal.sender, refusal.recipient) == (RCPT.sender, RCPT.recipient)
    assert refusal.queue_id == RCPT.queue_id
    assert refusal.detail == {  # what Postfix did not know is not there
        "stage": "RCPT",
        "client_ip": "192.0.2.7",
        "helo": "app?.example",
        "auth_method": "LOGIN",
        "listener": "submission",
    }
    assert refusal.once == (RCPT.instance, RCPT.recipient, "RCPT")


def test_a_refusal_of_nobody_is_no_event(database: Database, people: dict[str, str]) -> None:
    for username in ("", "frank_unknown234"):
        decision = decide(database, replace(RCPT, sasl_username=username), utcnow())
        assert decision.reply is not None and decision.refusal is None


def test_no_database_is_no_refusal(database: Database, people: dict[str, str]) -> None:
    Base.metadata.drop_all(database.engine)
    with pytest.raises(Unavailable):
        decide(database, replace(RCPT, sasl_username=people["user"]), utcnow())
