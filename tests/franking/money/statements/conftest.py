"""A shop that sends: two credentials, two domains, any day."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, pricing, settling
from franking.money.ledger import Transfer
from franking.money.pricing import Tier
from franking.money.statements import totals, usage
from franking.money.statements.config import Invoices
from franking.money.statements.statement import Statement, statement
from franking.money.statements.totals import Usage
from franking.money.terms import Terms
from tests import factories

SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)
FIRST = 1_000  # the price of the first two messages of a month, then
SECOND = 800
DEPOSIT = 1_000_000
BEGAN = datetime(2026, 9, 3, tzinfo=UTC)
LATER = datetime(2026, 11, 5, tzinfo=UTC)  # both months are over
ISSUER = Invoices(issuer_name="Posthaste GmbH", issuer_address="Hafenstraße 12\n20457 Hamburg")


def at(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@dataclass
class Shop:
    database: Database
    account_id: int
    usernames: list[str]
    domains: list[int]
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def accept(
        self,
        when: datetime,
        *,
        tags: Sequence[str] = (),
        recipients: int = 1,
        credential: int = 0,
        domain: int = 0,
    ) -> str:
        with self.database.transaction() as session:
            return factories.message(
                session, self.usernames[credential], self.domains[domain],
                f"Q{next(self._numbers)}", when, tags=tags,
                recipients=[f"r{n}@example.org" for n in range(recipients)],
            )  # fmt: skip

    def capture(self, *queue_ids: str, when: datetime) -> None:
        with self.database.transaction() as session:
            verdict = dict.fromkeys(queue_ids, ("captured", "active"))
            settling.settle(session, "n1", verdict, when)  # type: ignore[arg-type]

    def send(self, when: datetime, *, tags: Sequence[str] = (), credential: int = 0) -> str:
        queue_id = self.accept(when, tags=tags, credential=credential)
        self.capture(queue_id, when=when)
        return queue_id

    def refund(self, queue_id: str, amount: int, when: datetime) -> None:
        with self.database.transaction() as session:
            transfer = Transfer(
                self.account_id, amount, "refunds", "available", "refund", f"refund:{queue_id}"
            )
            ledger.book(session, transfer, when)
            usage.refunded(session, "n1", {queue_id: amount}, when)

    def used(self, dimension: str = "account", *, top: int = 9) -> Usage:
        with self.database.session() as session:
            first, last = date(2026, 10, 1), date(2026, 10, 31)
            return totals.by_day(session, self.account_id, first, last, dimension, top=top)

    def named(self, dimension: str, *, top: int = 9) -> dict[str, tuple[int, ...]]:
        """Name → messages, recipients, amount, refunded."""
        return {each.name: tuple(each.total) for each in self.used(dimension, top=top).series}

    def statement(self, period: date = OCTOBER, now: datetime = LATER) -> Statement:
        with self.database.session() as session:
            return statement(session, session.get_one(Account, self.account_id), period, now)


@pytest.fixture
def shop(database: Database) -> Shop:
    with database.transaction() as session:
        plan = pricing.create_plan(
            session, "p", currency="EUR", tiers=[Tier(0, FIRST), Tier(2, SECOND)],
            terms=Terms(monthly_fee=5_000_000), now=BEGAN,
        )  # fmt: skip
        account = accounts.create(session, "shop", plan=plan, now=BEGAN)
        ledger.deposit(session, account.id, DEPOSIT, reference="bank-1", note="=1+1", now=BEGAN)
        names = ("website", "newsletter")
        usernames = [factories.credential(session, account, n).credential.username for n in names]
        domains = [
            factories.verified_domain(session, account, name).id
            for name in ("example.com", "example.net")
        ]
        return Shop(database, account.id, usernames, domains)
