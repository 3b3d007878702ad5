"""A customer with one domain, and reports about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from franking.db import Database
from franking.domains.config import Dmarc
from franking.domains.dmarc import stages, store
from franking.domains.dmarc.reports import read_report
from franking.domains.dmarc.stages import Step
from franking.domains.models import Domain
from franking.domains.records import RelayNames
from tests import factories
from tests.reports import DAY, Sent, xml

RELAY = RelayNames(
    bounces="bounce.relay.example",
    spf="ip4:198.51.100.0/28 include:x.example",
    reports="reports.relay.example",
)
OURS = Sent(100, "198.51.100.3", dkim="example.com/s2026q4", aligned="dkim spf")
FORGER = Sent(9_000, "203.0.113.9")
Arrive = Callable[..., bool]


@pytest.fixture
def own() -> Dmarc:
    return Dmarc(reports=RELAY.reports)


@pytest.fixture
def domain(database: Database) -> Domain:
    with database.transaction() as session:
        return factories.verified_domain(session, factories.account(session, "acme"))


@pytest.fixture
def arrive(database: Database, domain: Domain) -> Arrive:
    """A report about the n-th day arrives the day after; False if it is known already."""

    def one(rows: Sequence[Sent], day: int = 0, *, org: str = "receiver.example") -> bool:
        begin = DAY + timedelta(days=day)
        report = read_report(xml(rows, begin=begin, report_id=f"{org}-{day}", org=org))
        with database.transaction() as session:
            own = store.own_of(session, domain, RELAY)
            return store.store(session, domain, report, own, after(day))

    return one


def after(day: int) -> datetime:
    """When the report about the n-th day is there."""
    return DAY + timedelta(days=day + 1, hours=3)


def observe(database: Database, published: str | None, at: datetime) -> None:
    with database.transaction() as session:
        stages.observe(session, session.get_one(Domain, 1), published, at)


def step(database: Database, own: Dmarc, at: datetime, relay: RelayNames = RELAY) -> Step | None:
    with database.session() as session:
        return stages.next_step(session, session.get_one(Domain, 1), at, own, relay)


def judge(database: Database, source: str, verdict: str | None) -> None:
    with database.transaction() as session:
        store.set_verdict(session, session.get_one(Domain, 1), source, verdict)
