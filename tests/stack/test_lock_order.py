"""One PostgreSQL: mail is accepted, granted and voided at once, and nobody waits in a circle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from franking.accounts import credentials, rules
from franking.accounts.models import RateCounter
from franking.accounts.rules import Rules, parse_window
from franking.db import Database
from franking.mail import acceptance, holding
from franking.mail.acceptance import Acceptance
from franking.mail.authority import authority
from franking.mail.models import HeldMessage, Message
from franking.money import verification
from franking.money.models import Plan
from tests import factories
from worker.maillog.gather import Changes
from worker.maillog.settle import settle, write

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
MESSAGES = 40  # of each kind
NODE = "n1"


class Shop:
    def __init__(self, database: Database, domain: str = "example.com") -> None:
        self.database = database
        with database.transaction() as session:
            owner = factories.funded(session)
            self.domain = factories.verified_domain(session, owner, domain).id
            made = credentials.create(session, owner, "c", prefix=factories.PREFIX)
            self.username = made.credential.username

    def limit(self, *windows: str) -> None:
        stored = rules.stored(Rules(windows=tuple(map(parse_window, windows))))
        with self.database.transaction() as session:
            session.execute(update(Plan).values(rules=stored))

    def accept(self, queue_id: str, now: datetime, node: str = NODE) -> None:
        with self.database.transaction() as session:
            who = authority(session, self.username, now)
            assert who is not None
            message = Acceptance(
                node=node, queue_id=queue_id, authority=who, domain_id=self.domain,
                from_address="a@example.com", envelope_sender="a@example.com",
                recipients=["one@dest.example"], subject="s", message_id="m", size=1, now=now,
            )  # fmt: skip
            acceptance.accept(session, message)

    def grant(self, queue_id: str) -> None:
        with self.database.transaction() as session:
            holding.grant(session, session.get_one(HeldMessage, (queue_id, NODE)), LATER)

    def void(self, queue_id: str) -> None:
        with self.database.transaction() as session:
            settle(session, NODE, {queue_id: ("voided", "test")}, LATER)


@pytest.fixture
def shop(both: list[Database]) -> Shop:
    return Shop(both[0])


def test_nobody_waits_in_a_circle(shop: Shop) -> None:
    """PostgreSQL ends a deadlock with an error, which would be raised here."""
    shop.limit("1/minute hold", "1000/day")
    for number in range(MESSAGES + 1):
        shop.accept(f"H{number}", NOW)
    shop.limit("1000/minute", "1000/day")

    def job(number: int) -> None:
        name = str(number // 3 + 1)
        if number % 3 == 0:
            shop.accept(f"N{name}", LATER)
        else:
            (shop.grant if number % 3 == 1 else shop.void)(f"H{name}")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(job, range(3 * MESSAGES)))
    with shop.database.session() as session:
        kept = select(func.count()).where(Message.status != "voided")
        assert session.scalar(kept) == MESSAGES + 1
        today = select(RateCounter.used).where(RateCounter.unit == "day")
        assert session.scalar(today) == MESSAGES + 1
        assert verification.verify(session) == []


def test_refunds_take_all_balances_at_once(shop: Shop) -> None:
    """Two nodes, two accounts: each captures for the one and refunds the other, in one batch."""
    other = Shop(shop.database, "other.example")
    owners, nodes = (shop, other), ("n1", "n2")
    for number in range(MESSAGES):
        for owner in owners:
            for node in nodes:
                owner.accept(f"{owner.domain}C{number}", NOW, node)
                owner.accept(f"{owner.domain}E{number}", NOW, node)
    with shop.database.transaction() as session:
        for node in nodes:
            for owner in owners:
                early = [f"{owner.domain}E{number}" for number in range(MESSAGES)]
                settle(session, node, dict.fromkeys(early, ("captured", "test")), NOW)

    def batch(job: int) -> None:
        """As a worker writes it: money and the refunds of what has expired."""
        node, number = nodes[job % 2], job // 2
        first, second = owners if job % 2 else owners[::-1]
        changes = Changes()
        changes.evidence[f"{first.domain}C{number}"] = ("captured", "test")
        changes.expired[f"{second.domain}E{number}"] = LATER
        with shop.database.transaction() as session:
            write(session, node, changes, LATER)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(batch, range(2 * MESSAGES)))
    with shop.database.session() as session:
        refunded = select(func.count()).where(Message.refunded > 0)
        assert session.scalar(refunded) == 2 * MESSAGES
        assert verification.verify(session) == []
