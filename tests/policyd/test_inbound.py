"""Mail to mailboxes of our own, from clients that are not logged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from franking.db import Base, Database, utcnow
from franking.mail.mailboxes import Mailboxes
from franking.mail.returnpath import ReturnPaths
from franking.mail.unsubscribing import Tokens
from franking.nodes import nodes
from policyd.authenticate import Unavailable
from policyd.connections import Connections
from policyd.decide import Decider
from policyd.delegation import Request
from policyd.inbound import Inbound
from policyd.node import NodeState
from tests import factories

REPORTS = "reports.example"
PATHS = ReturnPaths(factories.MASTER_KEY, "b.example")
TOKENS = Tokens(factories.MASTER_KEY)
MADE = datetime(2026, 5, 11, 18, tzinfo=UTC)  # of the queue ID, an hour later
QUEUE_ID = "4gDmcX3y9Gz1sKp"
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
    mailboxes = Mailboxes(
        paths=PATHS,
        complaints="Complaints",
        unsubscribe=TOKENS,
        reports="Reports.Example",
    )
    return Decider(database, NodeState("n1"), Connections(), Inbound(mailboxes))


def said(decider: Decider, request: Request, at: datetime | None = None) -> str:
    reply = decider.decide(request, at or utcnow()).reply
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
    assert said(decider, rcpt(f'"{token}"@{REPORTS}')) == "no_such_mailbox"
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


@pytest.mark.parametrize("sender", ["", "mailer-daemon@mx.example"])
@pytest.mark.parametrize("domain", [None, "bounce.customer.example"])
@pytest.mark.parametrize("spelling", [str, str.upper])
def test_what_comes_back_needs_no_database(
    decider: Decider,
    database: Database,
    sender: str,
    domain: str | None,
    spelling: Callable[[str], str],
) -> None:
    Base.metadata.drop_all(database.engine)
    address = spelling(PATHS.address(QUEUE_ID, domain))
    assert said(decider, rcpt(address, sender=sender), MADE) == "yes"
    assert said(decider, data(1, address, sender=sender), MADE) == "yes"
    assert said(decider, data(2, sender=sender), MADE) == "authentication_required"
    assert said(decider, rcpt("complaints@b.example", sender=sender), MADE) == "yes"
    assert said(decider, data(2, sender=sender), MADE) == "yes"


def test_only_with_a_token_of_ours(decider: Decider) -> None:
    ours = PATHS.address(QUEUE_ID)
    wrong = {
        ours.replace("-", "-x"): "inbound_forged",
        "bounce+abc@b.example": "inbound_forged",
        "bounce+@elsewhere.example": "inbound_forged",
        ReturnPaths(bytes(32), "b.example").address(QUEUE_ID): "inbound_forged",
        f"unsubscribe+{TOKENS.token(QUEUE_ID)[:-1]}@b.example": "inbound_forged",
        "postmaster@b.example": None,
        "bounce@b.example": None,
        f"a+{ours}": None,
    }
    for address, tally in wrong.items():
        decision = decider.decide(rcpt(address), MADE)
        assert decision.reply is not None and decision.reply.key == "no_such_mailbox", address
        assert decision.tally == tally
    late = decider.decide(rcpt(ours), MADE + timedelta(days=14))
    assert late.reply is not None and late.reply.key == "no_such_mailbox"
    assert late.tally == "inbound_expired"


def test_other_mailboxes_are_on_our_bounce_domain_only(decider: Decider) -> None:
    for mailbox in ("complaints", f"unsubscribe+{TOKENS.token(QUEUE_ID)}"):
        assert said(decider, rcpt(f"{mailbox}@b.example"), MADE) == "yes"
        assert said(decider, rcpt(f"{mailbox}@B.EXAMPLE"), MADE) == "yes"
        assert said(decider, rcpt(f"{mailbox}@bounce.customer.example"), MADE) == (
            "authentication_required"
        )


def test_a_node_that_drains_takes_what_comes_back(decider: Decider, database: Database) -> None:
    """It still delivers what it has."""
    with database.transaction() as session:
        nodes.introduce(session, "n1", utcnow())
        nodes.drain(session, "n1", None, utcnow())
    assert said(decider, rcpt(PATHS.address(QUEUE_ID)), MADE) == "yes"
