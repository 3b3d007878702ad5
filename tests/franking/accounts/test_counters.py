"""Under which names mail is counted, how the counters are looked up, and giving back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from franking.accounts import failures, limits
from franking.accounts.limits import Counted, Subject
from franking.accounts.models import RateCounter
from franking.accounts.rules import parse_window
from franking.db import Database

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHOP = Subject(17, 4, "192.0.2.1")
WINDOWS = [
    parse_window(text)
    for text in ("9/day", "9/hour by credential", "9/minute by address", "9/day recipients")
]


def count(
    database: Database, subject: Subject = SHOP, recipients: int = 1, now: datetime = NOON
) -> Counted:
    with database.transaction() as session:
        return limits.count(session, WINDOWS, subject, recipients, now)


def give_back(database: Database, *counted: Any) -> None:
    with database.transaction() as session:
        limits.give_back(session, counted)


def used(database: Database) -> dict[str, int]:
    with database.session() as session:
        return {row.subject: row.used for row in session.scalars(select(RateCounter))}


@pytest.mark.parametrize(
    ("client_ip", "name"),
    [
        ("192.0.2.1", "address:17:192.0.2.1"),
        ("::ffff:192.0.2.1", "address:17:192.0.2.1"),
        ("2001:db8:0:7:ffff::1", "address:17:2001:db8:0:7::/64"),
        ("2001:DB8:0:7::2", "address:17:2001:db8:0:7::/64"),
        ("unknown", "address:17:unknown"),
        (None, "address:17:unknown"),
    ],
)
def test_an_address_is_what_one_host_has(
    database: Database, client_ip: str | None, name: str
) -> None:
    count(database, replace(SHOP, client_ip=client_ip))
    assert name in used(database)
    locked_out = failures.address_subject(client_ip)
    assert locked_out is None or locked_out == name.replace("17:", "")


def test_test_mail_is_counted_apart(database: Database) -> None:
    count(database)
    real = used(database)
    count(database, replace(SHOP, test=True))
    assert used(database) == real | {f"test:{name}": 1 for name in real}
    widest = Subject(2**63 - 1, 2**63 - 1, "2001:db80:aaaa:bbbb:cccc::1", test=True)
    count(database, widest)
    longest: int = RateCounter.__table__.c.subject.type.length  # type: ignore[attr-defined]
    assert all(len(name) <= longest for name in used(database))


def test_counters_are_found_by_their_key(database: Database) -> None:
    """A scan of all counters at every RCPT would grow with the number of customers."""
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        found = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        plans.extend(row[3] for row in found)

    count(database)
    with database.session() as session:
        session.connection()
        event.listen(database.engine, "before_cursor_execute", explain)
        assert limits.exceeded(session, WINDOWS, SHOP, NOON, recipients=8) is None
        assert limits.exceeded(session, WINDOWS, SHOP, NOON, recipients=9) is not None
    assert plans
    assert all("rate_counter USING PRIMARY KEY" in plan or "sqlite_autoindex" in plan
               for plan in plans)  # fmt: skip
    assert not [plan for plan in plans if plan.startswith("SCAN")]


def test_given_back_is_what_was_counted_then(database: Database) -> None:
    """Through JSON, as it is stored; the windows that have begun since stay as they are."""
    first = json.loads(json.dumps(count(database, recipients=3)))
    before = used(database)
    second = count(database, Subject(17, 5, None), 2)
    third = count(database, Subject(17, 5, None), 2)
    give_back(database, second, third)
    assert _without_zeros(used(database)) == before
    later = NOON + timedelta(days=40)
    count(database, recipients=3, now=later)
    give_back(database, first)
    with database.session() as session:
        rows = session.scalars(select(RateCounter)).all()
        assert {row.used > 0 for row in rows if row.starts_at <= NOON} == {False}
        assert {row.used > 0 for row in rows if row.starts_at > NOON} == {True}


def test_never_below_nothing(database: Database) -> None:
    counted = count(database)
    give_back(database, counted, counted)
    assert set(used(database).values()) == {0}
    give_back(database)


def _without_zeros(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: used for name, used in counters.items() if used}
