"""Two nodes, one PostgreSQL: limits are exact, and nobody waits for somebody who waits for him."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import cycle

from sqlalchemy import select

from franking.accounts import limits
from franking.accounts.limits import Exceeded, Subject
from franking.accounts.models import RateCounter
from franking.accounts.rules import Window, parse_window
from franking.db import Database
from franking.nodes import nodes
from franking.nodes.nodes import Condition
from franking.settings import Overload, Protection
from worker.housekeeping import purge

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THREADS = 10  # of each node

Job = Callable[[Database, int], object]


def together(databases: list[Database], count: int, job: Job) -> list[object]:
    with ThreadPoolExecutor(THREADS * len(databases)) as pool:
        return list(pool.map(job, cycle(databases), range(count)))


def send(database: Database, windows: list[Window], subject: Subject, recipients: int = 1) -> bool:
    with database.transaction() as session:
        try:
            limits.count(session, windows, subject, recipients, NOW)
        except Exceeded:
            return False
    return True


def used(database: Database) -> dict[tuple[str, str], int]:
    with database.session() as session:
        return {(row.subject, row.unit): row.used for row in session.scalars(select(RateCounter))}


def test_never_one_too_many(both: list[Database]) -> None:
    limit = [parse_window("60/day"), parse_window("150/hour recipients")]

    def job(database: Database, number: int) -> bool:
        return send(database, limit, Subject(1, number % 3, None), 1 + number % 4)

    passed = together(both, 200, job)
    counted = used(both[0])
    assert counted["account:1", "day"] == passed.count(True) <= 60
    assert counted["account:1/recipients", "hour"] <= 150
    # None of them may have been refused while there was room for it.
    assert counted["account:1", "day"] == 60 or counted["account:1/recipients", "hour"] > 150 - 4


def test_any_order_of_windows(both: list[Database]) -> None:
    """Each message names its limits in an order of its own; a deadlock would be an error."""
    texts = "90/day;90/hour by address;90/minute by credential;90/second;90/day recipients"
    limit = [parse_window(text) for text in texts.split(";")]

    def job(database: Database, number: int) -> bool:
        turned = limit[number % 5 :] + limit[: number % 5]
        subject = Subject(1, number % 2, f"192.0.2.{number % 3}")
        return send(database, turned if number % 2 else turned[::-1], subject)

    assert together(both, 200, job).count(True) == 90
    assert used(both[0])["account:1", "day"] == 90


def test_both_clean_up(both: list[Database]) -> None:
    with both[0].transaction() as session:
        session.add_all(
            RateCounter(
                subject=f"account:{number}", unit="minute",
                starts_at=NOW - timedelta(days=number % 2), used=1,
            )
            for number in range(1200)
        )  # fmt: skip

    def job(database: Database, _number: int) -> int:
        return purge.purge(database, Protection(), NOW)

    assert sum(int(str(gone)) for gone in together(both, 6, job)) == 600
    assert len(used(both[0])) == 600


def test_both_report_and_one_is_drained(both: list[Database]) -> None:
    def job(database: Database, number: int) -> None:
        with database.transaction() as session:
            condition = Condition(queued=1, waiting=1, oldest_seconds=0, load=0)
            nodes.report(session, f"n{number % 2}", condition, Overload(), NOW)

    together(both, 40, job)
    with both[0].transaction() as session:
        nodes.drain(session, "n1", None, NOW)
    with both[1].session() as session:
        assert [nodes.refuses(session, name) for name in ("n0", "n1")] == [False, True]
