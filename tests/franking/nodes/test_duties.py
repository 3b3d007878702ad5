"""One node's turn at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

from franking.db import Database
from franking.nodes import duties

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def take(database: Database, node: str, now: datetime = NOW) -> bool:
    with database.transaction() as session:
        return duties.take(session, "ledger", node, lease=LEASE, now=now)


def due(database: Database, now: datetime) -> bool:
    with database.session() as session:
        return duties.due(session, "ledger", now)


def test_the_first_has_the_turn_until_it_has_finished(database: Database) -> None:
    assert due(database, NOW)
    assert take(database, "a")
    assert not take(database, "b")
    assert not due(database, NOW)
    with database.transaction() as session:
        duties.finish(session, "ledger", "a", due_at=NOW + HOUR)
    assert not take(database, "b", NOW + LEASE)
    assert due(database, NOW + HOUR)
    assert take(database, "b", NOW + HOUR)


def test_a_node_that_died_over_it_is_followed_by_another(database: Database) -> None:
    assert take(database, "a")
    assert take(database, "b", NOW + LEASE)
    with database.transaction() as session:  # it was only slow: the turn is not its any more
        duties.finish(session, "ledger", "a", due_at=NOW)
    assert not due(database, NOW + LEASE)


def test_a_clock_that_was_ahead_stops_nothing(database: Database) -> None:
    """What is due later than its period and a day is due; a month's duty has a month."""
    week = timedelta(days=7)
    far = NOW + week + timedelta(days=1)
    for name, due_at in (("daily", far), ("far/1", far + HOUR), ("far/2", NOW + 31 * 24 * HOUR)):
        with database.transaction() as session:
            duties.introduce(session, name, due_at=due_at)
    with database.transaction() as session:
        assert not duties.due(session, "daily", NOW, period=week)
        assert not duties.take(session, "daily", "a", lease=LEASE, now=NOW, period=week)
        assert not duties.due(session, "far/1", NOW) and not duties.due(session, "far/2", NOW)
        assert duties.waiting(session, "far/", NOW) == []
        assert duties.waiting(session, "far/", NOW, period=week) == ["far/1", "far/2"]
        earlier = NOW - timedelta(days=365)  # the clock is right again
        for each in ("daily", "far/2"):
            assert duties.due(session, each, earlier)
            assert duties.take(session, each, "a", lease=LEASE, now=earlier)
            assert not duties.due(session, each, earlier)
            assert not duties.take(session, each, "b", lease=LEASE, now=earlier)


def test_at_the_same_time(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    own = [Database(url) for _ in range(4)]
    barrier, turns = Barrier(len(own)), []

    def work(number: int) -> None:
        barrier.wait()
        turns.append(take(own[number], f"n{number}"))
        own[number].close()

    threads = [Thread(target=work, args=(number,)) for number in range(len(own))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == [False, False, False, True]
