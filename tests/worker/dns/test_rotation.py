"""`franking-worker dns`, the rotation of keys: one node's duty, each domain for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from franking import log
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.dns.lookups import Resolvers
from franking.domains import dkim, ownership
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.domains.rotation import steps
from franking.notices.models import Notice
from franking.settings import Settings
from tests import factories, others
from tests.dns.fakedns import FakeDns
from tests.published import added, asking, publish
from worker.dns import rotation
from worker.dns.rotation import Rotation

NOW = utcnow() + timedelta(hours=1)  # domains that are added now are due by then
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def server() -> Iterator[FakeDns]:
    with FakeDns({}) as server:
        yield server


@pytest.fixture
def own(settings: Settings, server: FakeDns) -> Settings:
    keys = Dkim(zone="keys.relay.test", rotate_months=3)
    return asking(settings.model_copy(update={"dkim": keys}), server, ttl=300)


@pytest.fixture
def domains(database: Database, own: Settings) -> list[int]:
    """Verified ones of three accounts, whose keys are due."""
    ids = [each for number in range(3) for each in added(database, own, f"shop{number}.test")]
    with database.transaction() as session:
        for each in ids:
            ownership.mark_verified(session, session.get_one(Domain, each), by="dns")
        session.execute(update(DkimKey).values(activated_at=NOW - 100 * DAY))
    return ids


@dataclass
class Node:
    """A worker whose clock and pauses are in our hands."""

    database: Database
    own: Settings
    now: datetime = NOW
    pauses: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    counter: float | None = None  # seconds of the machine; None: with the clock

    def __post_init__(self) -> None:
        self.duty = Rotation(
            self.database, self.own, Resolvers(self.own.dns), clock=lambda: self.now,
            monotonic=self._monotonic, pause=self._pause,
        )  # fmt: skip

    def look(self, now: datetime) -> int | None:
        self.now = now
        return self.duty.look()

    def _monotonic(self) -> float:
        return self.now.timestamp() if self.counter is None else self.counter

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()


def node(database: Database, own: Settings, name: str = "n1") -> Node:
    return Node(database, own.model_copy(update={"node": name}))


def states(database: Database, domain_id: int) -> list[str]:
    with database.session() as session:
        query = select(DkimKey.state).where(DkimKey.domain_id == domain_id)
        return list(session.scalars(query.order_by(DkimKey.id)))


def test_from_due_to_signing(
    database: Database, own: Settings, server: FakeDns, domains: list[int]
) -> None:
    duty = node(database, own)
    assert duty.look(NOW) == 3
    assert [states(database, each) for each in domains] == [["active", "pending"]] * 3
    publish(server, database, own, *domains)
    assert duty.look(NOW + 2 * MINUTE) == 3
    assert [states(database, each) for each in domains] == [["active", "pending"]] * 3
    assert duty.look(NOW + 8 * MINUTE) == 3
    assert [states(database, each) for each in domains] == [["retiring", "active"]] * 3
    assert duty.look(NOW + 9 * MINUTE) == 0, "nothing is due"


def test_one_node_does_it(database: Database, own: Settings, domains: list[int]) -> None:
    assert node(database, own, "n1").look(NOW) == 3
    assert node(database, own, "n2").look(NOW) is None
    assert node(database, own, "n2").look(NOW + MINUTE) == 3


def test_a_domain_that_fails_does_not_stop_the_others(
    database: Database, own: Settings, server: FakeDns, domains: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The terms of the last one's plan cannot be read, so nobody knows how long mail may wait."""
    told: list[str] = []
    monkeypatch.setattr(log, "unexpected", lambda where, _error: told.append(where))
    duty = node(database, own)
    duty.look(NOW)
    publish(server, database, own, *domains)
    duty.look(NOW + 2 * MINUTE)
    with database.transaction() as session:
        owner = session.get_one(Domain, domains[0]).account_id
        plan = session.get_one(Account, owner).plan
        terms, plan.terms = plan.terms, "?"
    duty.look(NOW + 8 * MINUTE)
    assert told == [f"keys of domain {domains[0]}"]
    active = [states(database, each)[-1] for each in domains]
    assert active == ["pending", "active", "active"]
    with database.transaction() as session:
        session.get_one(Account, owner).plan.terms = terms
    assert duty.look(NOW + 20 * MINUTE) == 0
    assert duty.look(NOW + 70 * MINUTE) == 1
    assert states(database, domains[0]) == ["retiring", "active"]


def test_who_does_not_answer_changes_nothing(
    database: Database, own: Settings, server: FakeDns, domains: list[int]
) -> None:
    duty = node(database, own)
    duty.look(NOW)
    publish(server, database, own, *domains)
    duty.look(NOW + 2 * MINUTE)
    server.faults = {"shop1.test": "servfail"}
    duty.look(NOW + 8 * MINUTE)
    assert [states(database, each)[-1] for each in domains] == ["active", "pending", "active"]
    server.faults = {}
    duty.look(NOW + 10 * MINUTE)
    assert states(database, domains[1]) == ["retiring", "active"]


def test_keys_are_made_while_others_may_write(
    database: Database, own: Settings, domains: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making one takes 50 ms and more: on SQLite nobody could take mail for so long."""
    made = others.write_while_keys_are_made(monkeypatch, database)
    assert node(database, own).look(NOW) == 3
    assert made == [dkim.RSA] * 3
    assert [states(database, each) for each in domains] == [["active", "pending"]] * 3


def test_others_have_their_turn_between_two_domains(
    database: Database, own: Settings, domains: list[int]
) -> None:
    duty = node(database, own)
    duty.meanwhile = lambda: others.write(database)
    assert duty.look(NOW) == len(domains)
    assert len(duty.pauses) == len(domains) - 1 and min(duty.pauses) > 0


def test_time_goes_on_during_a_turn(
    database: Database, own: Settings, domains: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of many domains takes minutes: what the last one's key is told is the time by then."""
    monkeypatch.setattr(rotation, "BATCH", 1)
    duty = node(database, own)
    real = steps.preview

    def slowly(*args: Any, **keywords: Any) -> steps.Preview:
        duty.now += MINUTE
        return real(*args, **keywords)

    monkeypatch.setattr(steps, "preview", slowly)
    monkeypatch.setattr(rotation, "LONGEST", 160.0)
    assert duty.look(NOW) == 3
    with database.session() as session:
        pending = select(DkimKey.created_at).where(DkimKey.state == "pending")
        made = list(session.scalars(pending.order_by(DkimKey.id)))
    assert made == [NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE]


def test_the_operator_is_told_once_that_the_zone_lags_behind(
    database: Database, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not for the customers to be asked: their CNAMEs are right."""
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(log, "zone_behind", lambda name, count: told.append((name, count)))
    with database.transaction() as session:
        account = factories.account(session)
        for name in ("one.test", "two.test"):
            domain = ownership.add(
                session, account, name, master_key=own.master_key_bytes(), dkim=own.dkim,
                method="cname", now=NOW - 100 * DAY,
            )  # fmt: skip
            ownership.mark_verified(session, domain, by="dns")
    duty = node(database, own)
    for hours in range(0, 24 * 9, 4):
        duty.look(NOW + timedelta(hours=hours))
    with database.session() as session:
        assert session.scalars(select(Notice.kind)).all() == []
        untold = select(ZoneEntry.name).where(ZoneEntry.published.is_(None))
        assert len(session.scalars(untold).all()) == 4
    assert told == [("frank2._domainkey.one.test", 2)]
    with database.transaction() as session:
        session.execute(update(ZoneEntry).values(published=ZoneEntry.value))
    duty.look(NOW + 9 * DAY)
    with database.transaction() as session:
        session.execute(update(ZoneEntry).values(published=None))
    duty.look(NOW + 9 * DAY + timedelta(hours=2))
    assert len(told) == 2, "again, after it was better"


@pytest.fixture
def retired(database: Database, own: Settings, server: FakeDns, domains: list[int]) -> Node:
    """The old keys may go 12 days after NOW."""
    duty = node(database, own)
    for minutes in (0, 2, 8):
        duty.look(NOW + minutes * MINUTE)
        publish(server, database, own, *domains)
    assert [states(database, each) for each in domains] == [["retiring", "active"]] * 3
    duty.counter = 0.0
    duty.look(NOW + 9 * MINUTE)
    return duty


def at_the_counters_pace(duty: Node, days: int) -> None:
    for _ in range(days):
        duty.counter = (duty.counter or 0.0) + DAY.total_seconds()
        duty.look(duty.now + DAY)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_jumps_removes_nothing(
    database: Database, domains: list[int], retired: Node, restarted: bool
) -> None:
    if restarted:
        retired.now = NOW + 400 * DAY
        retired = Node(database, retired.own, now=retired.now, counter=5.0)
    retired.look(NOW + 400 * DAY)
    assert "retiring" in states(database, domains[0])
    retired.look(NOW + 10 * MINUTE)  # it is set right
    with database.session() as session:
        due = session.scalars(select(Domain.dkim_due_at)).all()
    assert all(each is not None and each <= NOW + 8 * DAY for each in due), "not a year later"
    at_the_counters_pace(retired, 11)
    assert "retiring" in states(database, domains[0])
    at_the_counters_pace(retired, 3)
    assert "retiring" not in states(database, domains[0])


def test_a_clock_that_was_set_right_removes_a_day_later(
    database: Database, domains: list[int], retired: Node
) -> None:
    retired.look(NOW + 400 * DAY)
    at_the_counters_pace(retired, 2)
    assert "retiring" not in states(database, domains[0])
