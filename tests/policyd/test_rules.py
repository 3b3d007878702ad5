"""What a plan's rules, a node's state and a suppression list change in policyd's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from franking.accounts import credentials, limits
from franking.accounts import rules as stored_rules
from franking.accounts.limits import Subject
from franking.accounts.models import Account
from franking.accounts.rules import Rules, parse_window
from franking.db import Database, utcnow
from franking.mail import suppressions
from franking.nodes import nodes
from policyd.connections import Connections
from policyd.decide import Decider
from policyd.delegation import Request
from policyd.node import NodeState
from tests import factories

PANEL = "https://p"
Ask = Callable[..., str]


@pytest.fixture
def owner(database: Database) -> Account:
    with database.transaction() as session:
        return factories.funded(session, "acme")


@pytest.fixture
def clock() -> list[float]:
    """What the node's state goes by."""
    return [0.0]


@pytest.fixture
def ask(database: Database, owner: Account, clock: list[float]) -> Ask:
    """Asks at RCPT about the transaction `n` of one connection; returns the action."""
    with database.transaction() as session:
        username = factories.credential(session, session.merge(owner)).credential.username
    decider = Decider(database, NodeState("n1", lambda: clock[0]), Connections(established=set))
    first = Request(
        request="smtpd_access_policy",
        protocol_state="RCPT",
        sender="shop@Example.com",
        sasl_username=username,
        client_address="192.0.2.7",
        client_port="1025",
        policy_context="submission",
    )

    def asking(
        n: int = 1, recipient: str = "a@example.net", *, process: str = "7", **more: str
    ) -> str:
        request = replace(first, instance=f"{process}.6a.0.{n}", recipient=recipient, **more)
        return decider.decide(request, utcnow()).action(PANEL)

    return asking


def plan(database: Database, owner: Account, **rules: object) -> None:
    with database.transaction() as session:
        merged = session.merge(owner)
        merged.plan.rules = stored_rules.stored(Rules(**rules))  # type: ignore[arg-type]


def test_messages_per_connection(database: Database, owner: Account, ask: Ask) -> None:
    plan(database, owner, max_messages_per_connection=2)
    assert [ask(n) for n in (1, 1, 2, 2)] == ["DUNNO"] * 4
    assert ask(3).startswith("421 4.7.0 Too many messages on this connection, reconnect https")
    assert ask(1, client_port="1026") == "DUNNO", "another connection"


def test_connections(database: Database, owner: Account, ask: Ask) -> None:
    plan(database, owner, max_connections=1)
    assert ask() == "DUNNO"
    said = ask(1, process="8", client_port="1030")
    assert said.startswith("421 4.7.0 Too many connections for this API key, at most 1 https")


def test_recipients(database: Database, owner: Account, ask: Ask) -> None:
    plan(database, owner, max_recipients=2)
    assert [ask(1, r) for r in ("a@x.yz", "b@x.yz", "A@x.yz")] == ["DUNNO"] * 3
    assert ask(1, "c@x.yz").startswith("452 4.5.3 Too many recipients, at most 2 per message http")
    assert ask(2, "c@x.yz") == "DUNNO"


def test_a_draining_node_finishes_what_is_under_way(
    database: Database, ask: Ask, clock: list[float]
) -> None:
    assert ask(1) == "DUNNO"
    clock[0] += 1.0
    with database.transaction() as session:
        nodes.introduce(session, "n1", utcnow())
        nodes.drain(session, "n1", "maintenance", utcnow())
    assert ask(1, "b@example.net") == "DUNNO"
    assert ask(1, protocol_state="DATA", recipient_count="2") == "DUNNO"
    assert ask(2).startswith("421 4.3.2 Relaying temporarily denied https")


def test_the_nodes_state_is_looked_up_once_a_second(database: Database, owner: Account) -> None:
    now = [0.0]
    state = NodeState("n1", lambda: now[0])
    with database.session() as session:
        assert not state.refuses(session)
    with database.transaction() as session:
        nodes.introduce(session, "n1", utcnow())
        nodes.drain(session, "n1", None, utcnow())
    with database.session() as session:
        assert not state.refuses(session)
        now[0] += 1.0
        assert state.refuses(session)


def test_suppressed(database: Database, owner: Account, ask: Ask) -> None:
    with database.transaction() as session:
        account = session.merge(owner)
        suppressions.add(session, account, "gone@example.net", reason="complaint")
        suppressions.add(
            session, account, "half@example.net", scope="domain", scope_name="example.com"
        )
    assert ask(1, "Gone@Example.net").startswith("550 5.7.1 Recipient suppressed (complaint 20")
    assert ask(1, "half@example.net").startswith("550 5.7.1 Recipient suppressed (manual 20")
    assert ask(1, "half@example.net", sender="me@other.example") == "DUNNO"
    assert ask(1, "here@example.net") == "DUNNO"
    plan(database, owner, suppressed="drop")
    assert ask(1, "gone@example.net") == "DUNNO", "milterd leaves it out"


def count(database: Database, window: str, subject: Subject) -> None:
    with database.transaction() as session:
        limits.count(session, [parse_window(window)], subject, 1, utcnow())


def test_limits_are_told_early(database: Database, owner: Account, ask: Ask) -> None:
    plan(database, owner, windows=(parse_window("2/month recipients"),))
    assert ask() == "DUNNO"
    data = {"protocol_state": "DATA", "recipient": ""}
    assert ask(recipient_count="9", **data) == "DUNNO", "may be two, each several times"
    for _ in range(2):
        count(database, "2/month recipients", Subject(owner.id, 1, None))
    for said in (ask(2), ask(1, recipient_count="1", **data)):
        assert said.startswith("450 4.7.1 Rate limit exceeded (2 recipients per month), retry")


def test_a_test_credential_has_limits_of_its_own(
    database: Database, owner: Account, ask: Ask
) -> None:
    with database.transaction() as session:
        made = credentials.create(
            session, session.merge(owner), "t", prefix=factories.PREFIX, mode="test"
        )
    username = made.credential.username
    plan(database, owner, windows=(parse_window("1/month"),))
    count(database, "1/month", Subject(owner.id, 1, None))
    assert ask(1).startswith("450 4.7.1 Rate limit exceeded")
    assert ask(2, sasl_username=username) == "DUNNO"
    count(database, "1/month", Subject(owner.id, 1, None, test=True))
    assert ask(3, sasl_username=username).startswith("450 4.7.1 Rate limit exceeded")


def test_the_sandbox_needs_no_money(database: Database, ask: Ask) -> None:
    with database.transaction() as session:
        poor = factories.account(session, "poor")
        made = credentials.create(session, poor, "c", prefix=factories.PREFIX)
        test = credentials.create(session, poor, "t", prefix=factories.PREFIX, mode="test")
    assert ask(sasl_username=made.credential.username).startswith("554 5.7.1 Insufficient")
    assert ask(sasl_username=test.credential.username) == "DUNNO"
