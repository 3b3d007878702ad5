"""A database with one account that can pay, and mail accepted as the milter accepts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from franking.accounts import limits
from franking.accounts.limits import Subject
from franking.accounts.models import Account, Credential
from franking.accounts.rules import parse_window
from franking.db import Base, Database
from franking.domains.models import Domain
from franking.mail import authority, holding
from franking.mail.acceptance import Acceptance, accept
from franking.mail.models import Event, HeldMessage, Message, Recipient
from franking.money import ledger, verification
from franking.money.models import Plan, PriceList, Reservation

PRICE = 1_000
MONEY = 100_000_000


@dataclass
class Books:
    """The database and short ways to ask it."""

    database: Database
    url: str
    node: str = "local"
    username: str = "frank_f023a1b2c3"
    accepted: list[str] = field(default_factory=list)

    def accept(self, queue_id: str, *recipients: str, at: datetime | None = None) -> None:
        now = at or datetime.now(UTC)
        with self.database.transaction() as session:
            who = authority.authority(session, self.username, now)
            assert who is not None
            message = Acceptance(
                node=self.node, queue_id=queue_id, authority=who, domain_id=1, now=now,
                from_address="news@shop.test", envelope_sender="news@shop.test",
                recipients=list(recipients or ("plain@ok.test",)),
                subject="x", message_id="x@shop.test", size=300,
            )  # fmt: skip
            accept(session, message)
        self.accepted.append(queue_id)

    def hold(self, queue_id: str, *recipients: str, at: datetime | None = None) -> None:
        """Accept it with hold."""
        now = at or datetime.now(UTC)
        self.accept(queue_id, *recipients, at=now)
        with self.database.transaction() as session:
            holding.hold(
                session, node=self.node, queue_id=queue_id, subject=Subject(1, 1, None),
                reason=str(limits.closed(parse_window("1/minute hold"), now)),
                recipients=max(len(recipients), 1), now=now,
            )  # fmt: skip

    def waiting(self) -> list[str]:
        """In the hold queue, as far as is known."""
        with self.database.session() as session:
            query = select(HeldMessage.queue_id).where(HeldMessage.released_at.is_(None))
            return list(session.scalars(query.order_by(HeldMessage.held_at)))

    def state(self, queue_id: str) -> str | None:
        with self.database.session() as session:
            return session.scalar(select(Reservation.state).where(Reservation.queue_id == queue_id))

    def message(self, queue_id: str) -> str | None:
        with self.database.session() as session:
            return session.scalar(select(Message.status).where(Message.queue_id == queue_id))

    def recipients(self, queue_id: str) -> dict[str, str]:
        with self.database.session() as session:
            query = select(Recipient.address, Recipient.status)
            rows = session.execute(query.where(Recipient.queue_id == queue_id))
            return {row[0]: row[1] for row in rows}

    def events(self, queue_id: str) -> list[Event]:
        with self.database.session() as session:
            query = select(Event).where(Event.queue_id == queue_id, Event.kind != "accepted")
            return list(session.scalars(query.order_by(Event.id)))

    def balance(self) -> tuple[int, int]:
        with self.database.session() as session:
            row = ledger.balance(session, 1)
            return row.available, row.held

    def contents(self) -> list[tuple[object, ...]]:
        """All rows that a replay must leave alone."""
        tables = (
            "message", "message_recipient", "event", "held_message", "reservation",
            "ledger_entry", "balance", "charge_day", "usage_day", "notice", "suppression",
            "soft_failure", "message_alias", "address_block",
        )  # fmt: skip
        with self.database.session() as session:
            return [
                (name, *row)
                for name in tables
                for row in session.execute(select(Base.metadata.tables[name]))
            ]

    def sound(self) -> bool:
        with self.database.session() as session:
            return verification.verify(session) == []


@pytest.fixture
def books(database: Database) -> Books:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    with database.transaction() as session:
        session.execute(insert(Plan).values(id=1, name="plan", currency="EUR"))
        prices = {"tiers": f"[[0, {PRICE}]]", "starts_at": long_ago}
        session.execute(insert(PriceList).values(plan_id=1, **prices))
        session.execute(insert(Account).values(id=1, name="shop", plan_id=1))
        ledger.open_books(session, 1)
        ledger.deposit(session, 1, MONEY, reference="first")
        session.execute(
            insert(Credential).values(
                account_id=1, name="key", username=Books.username, secret_sha256="0" * 64,
                secret_hint="0",
            )
        )  # fmt: skip
        session.execute(insert(Domain).values(account_id=1, name="shop.test", ownership_token="x"))
    return Books(database, database.engine.url.render_as_string(hide_password=False))
