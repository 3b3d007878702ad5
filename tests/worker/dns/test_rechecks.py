"""`franking-worker dns`: what is due is looked at, by one of all, and memory stays flat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from threading import Event, Thread

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from franking import log
from franking.db import Database, utcnow
from franking.dns.answers import Answer, Lookup
from franking.dns.lookups import Resolvers
from franking.domains import life
from franking.domains.models import DnsCheck, Domain
from franking.settings import Settings
from tests.dns.fakedns import FakeDns
from tests.published import added, asking, publish
from worker.dns.rechecks import Rechecks
from worker.dns.service import Service

PATIENCE = 30.0  # seconds


@pytest.fixture
def server() -> Iterator[FakeDns]:
    with FakeDns({}) as server:
        yield server


@pytest.fixture
def own(settings: Settings, server: FakeDns) -> Settings:
    return asking(settings, server, concurrency=2, timeout=1.5)


def names(count: int) -> list[str]:
    return [f"shop{number}.test" for number in range(count)]


def looked_at(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count(Domain.checked_at))) or 0


def all_verified(database: Database) -> bool:
    with database.session() as session:
        return not session.scalar(select(Domain.id).where(Domain.verified_at.is_(None)).limit(1))


def finished(rechecks: Rechecks, database: Database, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while looked_at(database) < count:
        assert time.monotonic() < deadline
        rechecks.turn()


def test_what_is_due_is_looked_at(database: Database, own: Settings, server: FakeDns) -> None:
    domains = added(database, own, *names(8))
    publish(server, database, own, *domains)
    stop = Event()
    rechecks = Rechecks(database, own, Resolvers(own.dns), stop)
    finished(rechecks, database, 8)
    stop.set()
    rechecks.finish()
    assert all_verified(database)
    with database.session() as session:
        assert not life.due(session, utcnow() + timedelta(hours=20), 1), "tomorrow again"


def test_two_nodes_share_the_work(database: Database, own: Settings, server: FakeDns) -> None:
    """Each domain is looked at once, whoever does it."""
    domains = added(database, own, *names(10))
    publish(server, database, own, *domains)
    life.look_at(database, own, Resolvers(own.dns), domains[0], utcnow())
    once = server.asked["_franking.shop0.test", "TXT"]
    stop = Event()
    other = Database(str(database.engine.url))
    nodes = [Rechecks(each, own, Resolvers(own.dns), stop) for each in (database, other)]
    threads = [Thread(target=finished, args=(node, database, 10)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    stop.set()
    for node in nodes:
        node.finish()
    other.close()
    assert all_verified(database)
    asked = {server.asked[f"_franking.{name}", "TXT"] for name in names(10)}
    assert asked == {once}


class Held(Lookup):
    """Nothing is answered before `free` is set."""

    def __init__(self) -> None:
        self.free = Event()

    def authoritative(self, name: str, type: str) -> Answer:
        assert self.free.wait(PATIENCE)
        return Answer(name, type, "trouble")

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        return [self.authoritative(name, type)]

    def zone_of(self, name: str) -> str | None:
        return None

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self.authoritative(name, type)


def test_only_so_many_are_taken_at_once(
    database: Database, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many as there are threads; the others stay due, for others or for later."""
    monkeypatch.setattr("worker.dns.rechecks.POLL", 0.01)
    added(database, own, *names(8))
    lookup, stop = Held(), Event()
    rechecks = Rechecks(database, own, lookup, stop)
    for _ in range(3):
        rechecks.turn()
    with database.session() as session:
        assert len(life.due(session, utcnow(), 99)) == 8 - 2 * own.dns.concurrency
    stop.set()
    lookup.free.set()
    rechecks.finish()
    with database.session() as session:
        assert len(life.due(session, utcnow(), 99)) == 8, "what was begun is left to others"
        assert not session.scalar(select(DnsCheck.id).limit(1)), "nothing was found out"


class Broken(Held):
    def authoritative(self, name: str, type: str) -> Answer:
        raise RuntimeError("a bug")


def test_what_a_look_runs_into_stops_nothing(
    database: Database, own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(log, "unexpected", lambda where, _: logged.append(where))
    domains = added(database, own, *names(3))
    stop = Event()
    rechecks = Rechecks(database, own, Broken(), stop)
    while len(logged) < 3:
        rechecks.turn()
    assert sorted(logged) == [f"dns: domain {each}" for each in domains]
    with database.session() as session:
        assert not life.due(session, utcnow(), 9), "not before the lease is over"
        assert len(life.due(session, utcnow() + life.LEASE, 9)) == 3
    stop.set()
    rechecks.finish()


def test_without_a_database_it_goes_on(
    database: Database, own: Settings, server: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    [domain_id] = added(database, own, "shop.test")
    publish(server, database, own, domain_id)
    logged: list[str] = []
    monkeypatch.setattr(log, "database_trouble", lambda where, _: logged.append(where))
    stop = Event()
    rechecks = Rechecks(database, own, Resolvers(own.dns), stop)
    away = OperationalError("x", None, Exception("away"))
    with monkeypatch.context() as patch:
        patch.setattr(life, "claim", lambda *_: (_ for _ in ()).throw(away))
        rechecks.turn()
        patch.undo()
    assert logged == ["dns: what is due"]
    monkeypatch.undo()
    finished(rechecks, database, 1)
    stop.set()
    rechecks.finish()


def test_told_to_end_it_ends_though_nobody_answers(
    database: Database, own: Settings, server: FakeDns
) -> None:
    server.faults["."] = "silence"
    added(database, own, *names(8))
    stop = Event()
    service = Thread(target=Service(own, stop).run)
    service.start()
    deadline = time.monotonic() + PATIENCE
    while not server.asked:
        assert time.monotonic() < deadline
        stop.wait(0.01)
    stop.set()
    service.join(PATIENCE)
    assert not service.is_alive()
    with database.session() as session:
        assert len(life.due(session, utcnow(), 99)) == 8


def test_it_looks_when_the_time_has_come(
    database: Database, own: Settings, server: FakeDns
) -> None:
    """The whole service; a domain that is not due is not asked about."""
    first, second = added(database, own, "first.test", "second.test")
    publish(server, database, own, first, second)
    with database.transaction() as session:
        later = update(Domain).where(Domain.id == second)
        session.execute(later.values(check_due_at=utcnow() + timedelta(hours=1)))
    stop = Event()
    service = Thread(target=Service(own, stop).run)
    service.start()
    deadline = time.monotonic() + PATIENCE
    while looked_at(database) == 0:
        assert time.monotonic() < deadline
        stop.wait(0.01)
    stop.set()
    service.join(PATIENCE)
    with database.session() as session:
        assert session.get_one(Domain, first).verified_at is not None
        assert session.get_one(Domain, second).checked_at is None
