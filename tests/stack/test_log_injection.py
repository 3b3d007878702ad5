"""What strangers write never becomes an event: corpora/log_injection.txt through the stack.

The log is evidence for money, and it holds text of clients and of remote servers.  The truth about
each message is taken from elsewhere: from the sink's journal, and from the queue.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import expect
import pytest
from corpora import corpus
from dialogue import Dialogue, logged_in, opened, stuffed
from sqlalchemy import select

from franking.mail.models import Event, Message, Recipient
from franking.money.models import Reservation
from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

PER_SESSION = 8  # smtpd slows down after 10 errors
_numbers = itertools.count(1)


class Case(NamedTuple):
    """`text` is put where `where` says: greeting, sender, recipient, …"""

    where: str
    name: str
    text: bytes


class Sent(NamedTuple):
    case: Case
    queue_id: str
    recipient: str


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("forger")


@pytest.fixture(scope="module")
def victim(stack: RunningStack) -> tuple[Sender, str]:
    """Somebody else, and the queue ID of a message that stays in the queue."""
    other = stack.sender("forged")
    with logged_in(stack, other) as session:
        queue_id = deliver(session, other, "defer-victim@example.net")
    stack.until(lambda: expect.kinds(stack, queue_id) == ["accepted", "deferred"])
    return other, queue_id


def deliver(session: Dialogue, sender: Sender, to: str, header: bytes = b"", **named: str) -> str:
    """The queue ID, or the refusal."""
    said = session.begin(named.get("envelope", sender.address), to)
    if not said.startswith("354"):
        session.say("RSET")
        return said
    head = f"From: {sender.address}\r\nTo: <someone@example.net>\r\n".encode() + header
    said = session.end(stuffed(head + b"\r\n\r\nHello\r\n"))
    return said.rpartition(" ")[2] if said.startswith("250 ") else said


EVERYWHERE = ("greeting", "sender", "recipient", "message-id", "subject", "rcpt4", "rcpt5", "end2")
WRAPPED = {
    "message-id": b"Message-ID: <%s@forger.test>",
    "subject": b"Subject: %s",
    "rcpt4": b"451 4.7.1 %s",
    "rcpt5": b"550 5.1.1 %s",
    "end2": b"250 2.0.0 %s",
}


def cases(queue_id: str) -> Iterator[Case]:
    for kind, name, text in corpus.rows("log_injection"):
        octets = corpus.octets(text.replace("{qid}", queue_id))
        for where in EVERYWHERE if kind == "any" else (kind,):
            yield Case(where, name, WRAPPED.get(where, b"%s").replace(b"%s", octets))


class Account(NamedTuple):
    """All that the database says of an account's mail and money."""

    messages: list[Any]
    recipients: list[Any]
    events: list[Any]
    reservations: list[Any]
    balance: int


def account(stack: RunningStack, owner: Sender) -> Account:
    mine = select(Message.queue_id).where(Message.account_id == owner.account_id)
    columns = (
        select(Message.queue_id, Message.status).where(Message.account_id == owner.account_id),
        select(Recipient.queue_id, Recipient.address, Recipient.status, Recipient.attempts).where(
            Recipient.queue_id.in_(mine)
        ),
        select(Event.queue_id, Event.kind, Event.recipient, Event.reply).where(
            Event.account_id == owner.account_id, Event.kind.not_in(["rejected", "notified"])
        ),
        select(Reservation.queue_id, Reservation.state).where(
            Reservation.account_id == owner.account_id
        ),
    )
    with stack.database.snapshot() as session:  # the worker goes on between two queries
        rows = [sorted(tuple(row) for row in session.execute(query)) for query in columns]
    return Account(rows[0], rows[1], rows[2], rows[3], expect.available(stack, owner))


class Forger:
    """Sends the cases, each with a message of its own; `untouched` is the victim's before that."""

    def __init__(self, stack: RunningStack, sender: Sender, untouched: Account) -> None:
        self.untouched = untouched
        self._stack = stack
        self._sender = sender
        self._replies = stack.instance.sink_journal.with_suffix(".replies")
        self._replies.mkdir(exist_ok=True)
        self.sent: list[Sent] = []
        self.refused: list[Case] = []

    def send(self, session: Dialogue, case: Case) -> None:
        recipient = f"say-{next(_numbers)}@example.net"
        envelope, header = self._sender.address, b""
        if case.where == "greeting":
            session.say(b"EHLO " + case.text)
        elif case.where == "command":
            with opened(self._stack) as other:  # smtpd may hang up
                other.say(case.text)
        elif case.where == "sender":
            self._quoted(session, b"MAIL FROM:<%s@forger.test>", case.text)
        elif case.where == "recipient":
            session.say(f"MAIL FROM:<{envelope}>")
            self._quoted(session, b"RCPT TO:<%s@example.net>", case.text)
            session.say("RSET")
        elif case.where.startswith(("rcpt", "end")):
            name = recipient.partition("@")[0] + (".data" if case.where.startswith("end") else "")
            (self._replies / name).write_bytes(case.text)
        else:
            header = case.text
        said = deliver(session, self._sender, recipient, header)
        if " " in said:
            assert said[0] == "5", (case, said)
            self.refused.append(case)
        else:
            self.sent.append(Sent(case, said, recipient))

    def _quoted(self, session: Dialogue, command: bytes, text: bytes) -> None:
        """Bare, and as a quoted string; both must be refused or harmless."""
        escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        for local in (text, b'"%s"' % escaped):
            session.say(command.replace(b"%s", local))
            if command.startswith(b"MAIL"):
                session.say("RCPT TO:<say-never@example.net>")
                session.say("RSET")

    def log_in_as(self, case: Case) -> None:
        token = base64.b64encode(b"\0" + case.text + b"\0" + self._sender.secret.encode())
        with opened(self._stack) as session:
            assert session.say(b"AUTH PLAIN " + token)[:3] in ("535", "454", "501")
            session.login(self._sender)
            self.send(session, case._replace(where="nothing", text=b""))


@pytest.fixture(scope="module")
def forger(stack: RunningStack, sender: Sender, victim: tuple[Sender, str]) -> Iterator[Forger]:
    made = Forger(stack, sender, untouched=account(stack, victim[0]))
    waiting = list(cases(victim[1]))
    for case in [case for case in waiting if case.where == "user"]:
        made.log_in_as(case)
    waiting = [case for case in waiting if case.where != "user"]
    while waiting:
        with logged_in(stack, sender) as session:
            for case in waiting[:PER_SESSION]:
                made.send(session, case)
        del waiting[:PER_SESSION]
    yield made
    ids = "\n".join(sent.queue_id for sent in made.sent)
    command = ["postsuper", "-c", str(stack.instance.postfix), "-d", "-"]
    subprocess.run(command, input=ids, text=True, check=True, capture_output=True)


def queued(stack: RunningStack) -> dict[str, str]:
    """Queue ID → queue, as Postfix tells it."""
    command = ["/usr/sbin/postqueue", "-c", str(stack.instance.postfix), "-j"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    entries = [json.loads(line.decode(errors="replace")) for line in listed.splitlines()]
    return {entry["queue_id"]: entry["queue_name"] for entry in entries}


@pytest.fixture(scope="module")
def truth(stack: RunningStack, forger: Forger) -> dict[str, str]:
    """Queue ID → what became of it, once everything was tried."""
    ids = {sent.queue_id for sent in forger.sent}

    def tried() -> tuple[set[str], ...]:
        queues = {i: name for i, name in queued(stack).items() if i in ids}
        return () if set(queues.values()) - {"deferred"} else (set(queues),)

    (waiting,) = stack.until(tried)
    arrived = {r for d in stack.deliveries() for r in d.recipients}
    return {
        sent.queue_id: "delivered" if sent.recipient in arrived
        else "deferred" if sent.queue_id in waiting else "bounced"
        for sent in forger.sent
    }  # fmt: skip


@pytest.fixture(scope="module")
def recorded(stack: RunningStack, sender: Sender, truth: dict[str, str]) -> Account:
    """When the worker has read on behind the last of it."""

    def complete() -> Account | None:
        found = account(stack, sender)
        return found if len(found.events) >= 2 * len(truth) else None

    return stack.until(complete)


def test_the_corpus_is_large(forger: Forger, truth: dict[str, str]) -> None:
    assert len(forger.sent) + len(forger.refused) >= 300
    assert len(forger.sent) >= 100
    assert set(truth.values()) == {"delivered", "bounced", "deferred"}


def test_events_are_what_happened(forger: Forger, truth: dict[str, str], recorded: Account) -> None:
    wrong = []
    for sent in forger.sent:
        end = truth[sent.queue_id]
        events = [(e[1], e[2]) for e in recorded.events if e[0] == sent.queue_id]
        if events != [("accepted", sent.recipient), (end, sent.recipient)]:
            wrong.append((sent, end, events))
    assert wrong == []
    assert recorded.messages == sorted(truth.items())
    assert recorded.recipients == sorted(
        (sent.queue_id, sent.recipient, truth[sent.queue_id], 1) for sent in forger.sent
    )


def test_each_is_paid_once(
    stack: RunningStack, sender: Sender, forger: Forger, recorded: Account
) -> None:
    assert recorded.reservations == sorted((sent.queue_id, "captured") for sent in forger.sent)
    assert 1_000_000_000 - recorded.balance == UNIT_PRICE * len(forger.sent)
    expect.assert_books_are_right(stack)


def test_nothing_of_somebody_else_changed(
    stack: RunningStack, victim: tuple[Sender, str], forger: Forger, recorded: Account
) -> None:
    assert account(stack, victim[0]) == forger.untouched


def test_what_the_remote_said_is_only_shown(
    stack: RunningStack, forger: Forger, recorded: Account
) -> None:
    said = {s.queue_id: s.case.text for s in forger.sent if s.case.where.startswith("rcpt")}
    with stack.database.session() as session:
        kinds = ["accepted", "notified"]
        query = select(Event).where(Event.queue_id.in_(said), Event.kind.not_in(kinds))
        for event in session.scalars(query):
            assert event.queue_id is not None
            assert event.remote_ip == "127.0.0.1", event.reply
            assert event.smtp_code == int(said[event.queue_id][:3]), event.reply
            assert event.reply is not None and event.reply.isprintable()


def test_the_log_is_still_followed(
    stack: RunningStack, victim: tuple[Sender, str], recorded: Account
) -> None:
    other, _ = victim
    with logged_in(stack, other) as session:
        queue_id = deliver(session, other, "after-all@example.net")
    stack.until(lambda: expect.kinds(stack, queue_id) == ["accepted", "delivered"])
