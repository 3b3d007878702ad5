"""A world in which two messages were delivered, and something comes back for them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, update

from franking.accounts.rules import Rules, stored
from franking.db import Database
from franking.mail import events, messages, unsubscribing
from franking.mail.events import Attempt
from franking.mail.models import Event, Message, Suppression
from franking.mail.returnpath import ReturnPaths
from franking.money.models import Plan
from franking.nodes.models import Tally
from tests import factories
from worker.inbound.service import Service

QUEUE_ID, PAIR = "zzzzzz3y9Gz1sKp", "zzzzzz4y9Gz1sKp"  # made in the year 2596
ANNA, BERT = "anna@example.net", "bert@example.net"
SENDER = "bounces@example.com"  # the original one
PATHS = ReturnPaths(factories.MASTER_KEY, "b.example")
TOKENS = unsubscribing.Tokens(factories.MASTER_KEY)
NOW = datetime.now(UTC)


class World:
    """Two delivered messages: one to Anna, one to Anna and Bert."""

    def __init__(self, database: Database, service: Service, place: Path) -> None:
        self.database = database
        self.service = service
        self.sent: list[tuple[str, bytes]] = []  # passed on
        self.new = place / "new"
        self.new.mkdir(parents=True)
        self._aside = place / "unreadable"
        self._count = 0

    def comes(self, data: bytes, to: str | None = None, age: float = 0) -> int:
        """It is delivered and looked at; how many mails were done with."""
        self._count += 1
        path = self.new / f"{self._count:04}"
        at = to or PATHS.address(QUEUE_ID)
        added = f"Return-Path: <>\nX-Original-To: {at}\nDelivered-To: {at}\n".encode()
        path.write_bytes(added + data.replace(b"\r\n", b"\n"))
        then = NOW.timestamp() - age
        os.utime(path, (then, then))
        return self.service.turn()

    def left(self) -> tuple[int, int]:
        """Waiting, and set aside."""
        aside = list(self._aside.iterdir()) if self._aside.exists() else []
        return len(list(self.new.iterdir())), len(aside)

    def kinds(self, queue_id: str = QUEUE_ID) -> list[str]:
        """After the delivery."""
        with self.database.session() as session:
            query = select(Event.kind).where(
                Event.queue_id == queue_id, Event.kind.not_in(("accepted", "delivered"))
            )
            return list(session.scalars(query.order_by(Event.id)))

    def event(self, kind: str) -> Event:
        with self.database.session() as session:
            return session.scalars(select(Event).where(Event.kind == kind)).one()

    def status(self, queue_id: str = QUEUE_ID) -> str:
        with self.database.session() as session:
            return messages.find(session, queue_id).status

    def suppressed(self) -> list[tuple[str, str, str]]:
        with self.database.session() as session:
            columns = Suppression.address, Suppression.reason, Suppression.scope
            rows = session.execute(select(*columns).order_by(Suppression.id)).all()
            return [(row[0], row[1], row[2]) for row in rows]

    def tallies(self) -> dict[str, int]:
        with self.database.session() as session:
            rows = session.execute(select(Tally.name, Tally.count).where(Tally.node == "n1")).all()
            return {row[0].removeprefix("inbound_"): row[1] for row in rows}

    def rule(self, **rules: object) -> None:
        with self.database.transaction() as session:
            made = Rules(**rules)  # type: ignore[arg-type]
            session.execute(update(Plan).values(rules=stored(made)))

    def sender(self, address: str) -> None:
        with self.database.transaction() as session:
            session.execute(update(Message).values(envelope_sender=address))


def deliver_both(database: Database) -> None:
    """The two messages."""
    with database.transaction() as session:
        owner = factories.funded(session)
        domain = factories.verified_domain(session, owner)
        username = factories.credential(session, owner).credential.username
        for queue_id, recipients in ((QUEUE_ID, [ANNA]), (PAIR, [ANNA, BERT])):
            factories.message(session, username, domain.id, queue_id, NOW, recipients=recipients)
            attempts = [Attempt(queue_id, each, "delivered", NOW) for each in recipients]
            events.record(session, "n1", attempts)
