"""What comes back for mail that was delivered: all the way out, and all the way in again.

A message goes to the sink with a return path of ours, and what a receiver would send for it comes
to port 25: it is in the timeline, the recipient is suppressed, the next RCPT is refused, and the
original sender has it, too.  Nothing without a token is taken, and nothing of it leaves.
"""

from __future__ import annotations

import os
import signal
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import expect
import pytest
import sessions
from sqlalchemy import select, update

from franking.db import utcnow
from franking.domains.models import Domain
from franking.mail.models import Event, Stream, Suppression
from franking.mail.returnpath import ReturnPaths
from franking.nodes.models import Tally
from stack.delivery import Delivery
from stack.instance import BOUNCE_DOMAIN
from stack.running import RunningStack, Sender
from tests import returned

OLD = "4gDmcX3y9Gz1sKp"  # a queue ID of May 2026
COMPLAINTS = f"complaints@{BOUNCE_DOMAIN}"
END = ("bounced", "complained", "unsubscribed", "notified")


@dataclass(frozen=True)
class Sent:
    queue_id: str
    delivery: Delivery

    @property
    def to(self) -> str:
        return self.delivery.recipients[0]

    @property
    def return_path(self) -> str:
        return self.delivery.sender


@pytest.fixture(scope="module")
def customer(stack: RunningStack) -> Sender:
    return stack.sender("returns")


@pytest.fixture(scope="module")
def client(stack: RunningStack, customer: Sender) -> Iterator[smtplib.SMTP]:
    with sessions.log_in(stack, customer) as session:
        yield session


def send(stack: RunningStack, client: smtplib.SMTP, sender: Sender, to: str) -> Sent:
    """Delivered, and known to be."""
    queue_id = sessions.queue_id(sessions.offer(client, sender, to=to))
    delivery = stack.delivered(to)
    stack.until(lambda: expect.status(stack, queue_id) == "delivered")
    return Sent(queue_id, delivery)


@contextmanager
def other_server(stack: RunningStack) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", stack.ports.smtp, timeout=20) as server:
        server.ehlo()
        yield server


def comes(stack: RunningStack, to: str, data: bytes, sender: str = "") -> None:
    with other_server(stack) as server:
        server.sendmail(sender, [to], data)


def said_to(stack: RunningStack, *recipients: str) -> list[str]:
    """To RCPT, of another server."""
    with other_server(stack) as server:
        server.mail("")
        answers = [server.rcpt(recipient) for recipient in recipients]
    return [f"{code} {text.decode()}" for code, text in answers]


def waiting(stack: RunningStack) -> list[Path]:
    return list((stack.instance.loaded.inbound.maildir / "new").glob("*"))


def after(stack: RunningStack, queue_id: str) -> list[str]:
    """What became known of it by mail."""
    return [kind for kind in expect.kinds(stack, queue_id) if kind in END]


def tally(stack: RunningStack, name: str) -> int:
    with stack.database.session() as session:
        query = select(Tally.count).where(Tally.name == f"inbound_{name}", Tally.node == "local")
        return session.scalar(query) or 0


def suppressed(stack: RunningStack, sender: Sender, address: str) -> list[tuple[str, str]]:
    with stack.database.session() as session:
        query = select(Suppression.reason, Suppression.scope, Suppression.event_id).where(
            Suppression.account_id == sender.account_id, Suppression.address == address
        )
        rows = session.execute(query).all()
        assert all(session.get(Event, row[2]) for row in rows), "it says what has caused it"
        return [(row[0], row[1]) for row in rows]


def passed_on(stack: RunningStack, sender: Sender, about: str) -> list[Delivery]:
    return [
        d
        for d in stack.deliveries()
        if d.recipients == [sender.address] and about.encode() in d.content
    ]


def assert_bounced(stack: RunningStack, client: smtplib.SMTP, sender: Sender, sent: Sent) -> None:
    stack.until(lambda: expect.status(stack, sent.queue_id) == "bounced")
    assert suppressed(stack, sender, sent.to) == [("hard_bounce", "account")]
    said = sessions.offer(client, sender, to=sent.to)
    assert said.startswith(f"550 5.7.1 <{sent.to}>: Recipient address rejected: Recipient suppr")
    [copy] = stack.until(lambda: passed_on(stack, sender, sent.to))
    assert copy.sender in ("", "<>")
    stack.until(lambda: after(stack, sent.queue_id) == ["bounced", "notified"])


def test_a_bounce_after_delivery(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    sent = send(stack, client, customer, "late-bounce@example.net")
    report = returned.dsn(sent.to)
    comes(stack, sent.return_path, report)
    assert_bounced(stack, client, customer, sent)
    [copy] = passed_on(stack, customer, sent.to)
    assert copy.content.endswith(report), "as it came, so that a signature holds"
    comes(stack, sent.return_path.upper(), report)  # the same again
    stack.until(lambda: not waiting(stack))
    assert after(stack, sent.queue_id) == ["bounced", "notified"]
    assert len(passed_on(stack, customer, sent.to)) == 1


def test_to_the_customers_own_bounce_domain(stack: RunningStack) -> None:
    """A CNAME to ours: the mail comes here, to a domain that Postfix has never heard of."""
    own = stack.sender("aligned")
    with stack.database.transaction() as session:
        mine = Domain.name == own.domain
        session.execute(update(Domain).where(mine).values(return_path_at=utcnow()))
    with sessions.log_in(stack, own) as client:
        sent = send(stack, client, own, "aligned-bounce@example.net")
        assert sent.return_path.endswith(f"@bounce.{own.domain}")
        before = len(stack.deliveries())
        comes(stack, sent.return_path, returned.dsn(sent.to))
        assert_bounced(stack, client, own, sent)
        sessions.queue_id(sessions.offer(client, own, to="bounce-aligned@example.net"))
        stack.until(lambda: passed_on(stack, own, "bounce-aligned@example.net"))
    # Neither was sent to that domain; Postfix's own is not, either.
    assert [d.recipients for d in stack.deliveries()[before:]] == [[own.address]] * 2


def test_several_recipients_in_one_transaction(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    sent = send(stack, client, customer, "mixed-bounce@example.net")
    elsewhere = sent.return_path.replace(BOUNCE_DOMAIN, "bounce.elsewhere.test")
    with other_server(stack) as server:
        server.mail("")
        for to in (sent.return_path, elsewhere, COMPLAINTS):
            assert server.rcpt(to)[0] == 250
        for to in ("relayme@example.net", f"relayme@bounce.{customer.domain}"):
            assert server.rcpt(to)[0] == 554
        assert server.data(returned.dsn(sent.to))[0] == 250
    assert_bounced(stack, client, customer, sent)
    assert not [d for d in stack.deliveries() if elsewhere in d.recipients]


def test_what_our_own_postfix_reports_is_known_already(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    """It goes to the return path like everybody's; the log has said it before."""
    queue_id = sessions.queue_id(sessions.offer(client, customer, to="bounce-own@example.net"))
    stack.until(lambda: passed_on(stack, customer, "bounce-own@example.net"))
    stack.until(lambda: not waiting(stack))
    assert expect.status(stack, queue_id) == "bounced"
    kinds = expect.kinds(stack, queue_id)
    assert kinds.count("bounced") == 1
    [copy] = passed_on(stack, customer, "bounce-own@example.net")
    paths = ReturnPaths(stack.settings.master_key_bytes(), BOUNCE_DOMAIN)
    assert f"Original-Envelope-Id: {paths.reference(queue_id)}".encode() in copy.content


def test_s2_14_a_complaint(stack: RunningStack, client: smtplib.SMTP, customer: Sender) -> None:
    """Its recipient is redacted: the reference in the message tells."""
    sent = send(stack, client, customer, "complains@example.net")
    original = sent.delivery.content.replace(b"complains@example.net", b"redacted")
    comes(stack, COMPLAINTS, returned.complaint(original), "feedback@receiver.example")
    stack.until(lambda: after(stack, sent.queue_id) == ["complained"])
    assert expect.status(stack, sent.queue_id) == "delivered"
    assert suppressed(stack, customer, sent.to) == [("complaint", "stream")]
    assert sessions.offer(client, customer, to=sent.to).startswith("550 5.7.1 ")


def test_a_mail_to_unsubscribe(stack: RunningStack, customer: Sender) -> None:
    with stack.database.transaction() as session:
        session.add(Stream(account_id=customer.account_id, name="default", bulk=True))
    with sessions.log_in(stack, customer) as client:
        sent = send(stack, client, customer, "unsubscribes@example.net")
        listed = sent.delivery.content.partition(b"<mailto:")[2].partition(b">")[0].decode()
        comes(stack, listed, b"Subject: unsubscribe\r\n\r\n", "anna@receiver.example")
        stack.until(lambda: after(stack, sent.queue_id) == ["unsubscribed"])
        assert suppressed(stack, customer, sent.to) == [("unsubscribe", "stream")]
        assert sessions.offer(client, customer, to=sent.to).startswith("550 5.7.1 ")


def test_an_automatic_reply_is_dropped(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    sent = send(stack, client, customer, "away@example.net")
    before = tally(stack, "automatic_reply")
    comes(stack, sent.return_path, returned.absence(), sent.to)
    stack.until(lambda: tally(stack, "automatic_reply") == before + 1)
    stack.until(lambda: not waiting(stack))
    assert after(stack, sent.queue_id) == []


def test_without_a_token_of_ours_nothing_is_taken(stack: RunningStack) -> None:
    paths = ReturnPaths(stack.settings.master_key_bytes(), BOUNCE_DOMAIN)
    foreign = ReturnPaths(bytes(32), BOUNCE_DOMAIN)
    forged, expired = tally(stack, "forged"), tally(stack, "expired")
    recent = "zzzzzz3y9Gz1sKp"
    answers = said_to(
        stack,
        foreign.address(recent),
        foreign.address(recent, "bounce.elsewhere.test"),
        f"unsubscribe+abc@{BOUNCE_DOMAIN}",
        paths.address(OLD),
        f"postmaster@{BOUNCE_DOMAIN}",
        f"anything@{BOUNCE_DOMAIN}",
        paths.address(recent),
    )
    assert [said[:10] for said in answers] == ["550 5.1.1 "] * 6 + ["250 2.1.5 "]
    stack.until(lambda: tally(stack, "forged") == forged + 3)
    stack.until(lambda: tally(stack, "expired") == expired + 1)


def test_other_listeners_take_nothing(stack: RunningStack) -> None:
    ours = ReturnPaths(stack.settings.master_key_bytes(), BOUNCE_DOMAIN).address("zzzzzz3y9Gz1sKp")
    for port in ("submission", "submissions", "alternate"):
        with sessions.connect(stack, port) as session:
            for to in (ours, ours.replace(BOUNCE_DOMAIN, "bounce.elsewhere.test"), COMPLAINTS):
                session.mail("a@example.org")
                assert session.rcpt(to)[0] == 530
                session.rset()


def test_a_customer_cannot_vouch_for_a_token(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    """Who is logged in may write there, and pays; it is looked at no less closely."""
    sent = send(stack, client, customer, "vouched@example.net")
    forged = ReturnPaths(bytes(32), BOUNCE_DOMAIN).address(sent.queue_id)
    before = tally(stack, "forged")
    code, _ = client.mail(customer.address)
    assert (code, client.rcpt(forged)[0]) == (250, 250)
    report = returned.dsn(sent.to).replace(
        b"From: MAILER-DAEMON@mx.receiver.example", b"From: " + customer.address.encode()
    )
    assert client.data(report)[0] == 250
    stack.until(lambda: tally(stack, "forged") == before + 1)
    assert after(stack, sent.queue_id) == []


def test_nothing_is_lost_while_nobody_reads(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    """Postfix delivers all the same, and the next worker finds what is there."""
    sent = send(stack, client, customer, "unread-bounce@example.net")
    [pid] = stack.pids("inbound")
    os.kill(pid, signal.SIGSTOP)
    comes(stack, sent.return_path, returned.dsn(sent.to))
    stack.until(lambda: waiting(stack))
    assert expect.status(stack, sent.queue_id) == "delivered"
    stack.kill(pid)
    stack.until(lambda: not waiting(stack), 90)  # a new one has to come up first
    assert_bounced(stack, client, customer, sent)


@pytest.mark.alone  # connections that the outage has broken are noticed one by one
def test_it_is_taken_without_the_database(
    stack: RunningStack, client: smtplib.SMTP, customer: Sender
) -> None:
    sent = send(stack, client, customer, "outage-bounce@example.net")
    with stack.database_outage():
        comes(stack, sent.return_path, returned.dsn(sent.to))
    stack.until(lambda: expect.status(stack, sent.queue_id) == "bounced")
