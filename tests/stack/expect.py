"""What the scenarios look for, said once."""

from __future__ import annotations

import smtplib
from collections.abc import Callable

import verifiers
from sqlalchemy import func, select

from franking.mail import messages
from franking.mail.models import Event, Message
from franking.money import ledger, verification
from franking.money.models import Reservation
from stack.running import RunningStack, Sender
from tests import published

LogIn = Callable[[Sender], smtplib.SMTP]


def status(stack: RunningStack, queue_id: str) -> str:
    with stack.database.session() as session:
        return messages.find(session, queue_id).status


def available(stack: RunningStack, sender: Sender) -> int:
    """Micro-units, held ones included: what the account could still spend or get back."""
    with stack.database.session() as session:
        balance = ledger.balance(session, sender.account_id)
        return balance.available + balance.held


def kinds(stack: RunningStack, queue_id: str) -> list[str]:
    """Of the message's events so far, in order."""
    return [event.kind for event in events(stack, queue_id)]


def events(stack: RunningStack, queue_id: str) -> list[Event]:
    with stack.database.session() as session:
        return list(messages.timeline(session, messages.find(session, queue_id)))


def refusals(stack: RunningStack, sender: Sender) -> list[Event]:
    """What was refused to this account, oldest first."""
    with stack.database.session() as session:
        query = select(Event).where(Event.account_id == sender.account_id)
        return list(session.scalars(query.where(Event.kind == "rejected").order_by(Event.id)))


def refusal(stack: RunningStack, sender: Sender, number: int = 1) -> Event:
    """Wait for the account's n-th refusal."""
    return stack.until(lambda: refusals(stack, sender)[number - 1 :] or None)[0]


def dns_records(stack: RunningStack, sender: Sender) -> dict[str, str]:
    """The records that the sender's domain should have, as a verifier's DNS."""
    return published.texts(stack.database, sender.account, sender.domain)


def assert_signed(stack: RunningStack, sender: Sender, contents: list[bytes]) -> None:
    """By two verifiers that share nothing: dkimpy and opendkim-testmsg."""
    records = dns_records(stack, sender)
    for content in contents:
        assert verifiers.dkimpy(content, records) == [True]
    assert verifiers.opendkim(contents, records) == [""] * len(contents)


def reservations(stack: RunningStack, sender: Sender) -> dict[str, str]:
    """queue ID → state of every reservation of the account."""
    with stack.database.session() as session:
        query = select(Reservation.queue_id, Reservation.state)
        rows = session.execute(query.where(Reservation.account_id == sender.account_id))
        return {row[0]: row[1] for row in rows}


def count_messages(stack: RunningStack, sender: Sender, status: str) -> int:
    with stack.database.session() as session:
        query = select(func.count()).select_from(Message)
        wanted = (Message.account_id == sender.account_id, Message.status == status)
        return session.scalar(query.where(*wanted)) or 0


def assert_books_are_right(stack: RunningStack) -> None:
    with stack.database.session() as session:
        assert verification.verify(session) == []


def stored(stack: RunningStack, queue_id: str) -> Message:
    """What is kept of the message with this ID."""
    with stack.database.session() as session:
        return messages.find(session, queue_id)
