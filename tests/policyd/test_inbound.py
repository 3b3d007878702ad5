"""Mail to mailboxes of our own, from clients that are not logged in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from franking.db import Base, Database, utcnow
from franking.nodes import nodes
from policyd.authenticate import Unavailable
from policyd.connections import Connections
from policyd.decide import Decider
from policyd.delegation import Request
from policyd.inbound import Inbound
from policyd.node import NodeState
from tests import factories

REPORTS = "reports.example"
RCPT = Request(
    request="smtpd_access_policy",
    protocol_state="RCPT",
    instance="1f.6a.0.0",
    sender="noreply@receiver.example",
    recipient_count="0",
    client_address="192.0.2.7",
    policy_context="smtp",
)


@pytest.fixture
def mailbox(database: Database) -> str:
    with database.transaction() as session:
        domain = factories.verified_domain(session, factories.account(session))
        return f"{domain.dmarc_token}@{REPORTS}"


@pytest.fixture
def decider(database: Database) -> Decider:
    return Decider(database, NodeState("n1"), Connections(), Inbound("Reports.Example"))


def said(decider: Decider, request: Request) -> str:
    reply = decider.decide(request, utcnow()).reply
    return "yes" if reply is None else reply.key


def rcpt(recipient: str, **more: str) -> Request:
    return replace(RCPT, recipient=recipient, **more)


def data(count: int, recipient: str = "", **more: str) -> Request:
    """Postfix names the recipient at DATA only when there is one."""
    return replace(
        RCPT, protocol_state="DATA", recipient=recipient, recipient_count=str(count), **more
    )


def test_a_mailbox_is_an_address_of_a_domain(decider: Decider, mailbox: str) -> None:
    token = mailbox.partition("@")[0]
    assert said(decider, rcpt(mailbox)) == "yes"
    assert said(decider, rcpt(mailbox.upper())) == "yes"
    assert said(decider, rcpt(mailbox, sender="")) == "yes"
    assert said(decider, rcpt(f"0000@{REPORTS}")) == "no_such_mailbox"
    assert said(decider, rcpt(f"{token}x@{REPORTS}")) == "no_such_mailbox"
    assert said(decider, rcpt(f"@{REPORTS}")) == "no_such_mailbox"
    for foreign in (
        "a@example.net",
        f"{token}@sub.{REPORTS}",
        f"{token}@x{REPORTS}",
        token,
        REPORTS,
    ):
        assert said(decider, rcpt(foreign)) == "authentication_required"
    assert said(decider, rcpt("")) == "authentication_required"


def test_the_sender_must_be_plain(decider: Decider, mailbox: str) -> None:
    """It stands in the log that we bill by."""
    forged = rcpt(mailbox, sender="x>, relay=none, status=sent (ok) to=<@example.net")
    assert said(decider, forged) == "sender_invalid"


def test_the_content_of_one(decider: Decider, mailbox: str) -> None:
    assert said(decider, data(1, mailbox)) == "yes"
    assert said(decider, data(1, "postmaster")) == "authentication_required"
    assert said(decider, data(1, f"0000@{REPORTS}")) == "no_such_mailbox"


def test_of_several_each_must_have_been_let_pass(decider: Decider, mailbox: str) -> None:
    assert said(decider, data(2)) == "authentication_required"
    said(decider, rcpt(mailbox))
    assert said(decider, data(2)) == "authentication_required"  # the other is postmaster
    said(decider, rcpt(mailbox))
    assert said(decider, data(2)) == "yes"
    assert said(decider, data(3)) == "authentication_required"
    another = "1f.6a.0.1"
    assert said(decider, data(2, instance=another)) == "authentication_required"


def test_without_a_domain_for_reports_nobody_is_let_pass(database: Database, mailbox: str) -> None:
    decider = Decider(database, NodeState("n1"), Connections())
    for request in (rcpt(mailbox), data(1, mailbox), data(2), rcpt(""), rcpt("x@")):
        assert said(decider, request) == "authentication_required"


def test_a_node_that_drains_takes_none(decider: Decider, database: Database, mailbox: str) -> None:
    with database.transaction() as session:
        nodes.introduce(session, "n1", utcnow())
        nodes.drain(session, "n1", None, utcnow())
    assert said(decider, rcpt(mailbox)) == "relaying_denied"
    assert said(decider, data(1, mailbox)) == "yes"  # what has begun may end


def test_no_database_is_no_refusal(decider: Decider, database: Database, mailbox: str) -> None:
    Base.metadata.drop_all(database.engine)
    with pytest.raises(Unavailable):
        decider.decide(rcpt(mailbox), utcnow())
