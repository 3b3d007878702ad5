from __future__ import annotations

from datetime import UTC, datetime

import pytest

from franking.db import Database
from franking.nodes import nodes
from franking.nodes.nodes import Condition
from franking.reasons import NotFound
from franking.settings import Overload

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
IDLE = Condition(queued=3, waiting=0, oldest_seconds=0.0, load=0.1)
THRESHOLDS = Overload(queue_age=100, queue_length=10, load_per_core=2)


def report(database: Database, condition: Condition, thresholds: Overload = THRESHOLDS) -> bool:
    """Whether the node then refuses mail."""
    with database.transaction() as session:
        nodes.report(session, "n1", condition, thresholds, NOW)
        return nodes.refuses(session, "n1")


def test_a_node_that_nobody_knows_refuses_nothing(database: Database) -> None:
    with database.session() as session:
        assert not nodes.refuses(session, "n1")
        with pytest.raises(NotFound):
            nodes.drain(session, "n1", None, NOW)


def test_drain_and_resume(database: Database) -> None:
    assert not report(database, IDLE)
    with database.transaction() as session:
        nodes.introduce(session, "n2", NOW)
        assert nodes.drain(session, "n1", "new disk", NOW).state == "draining"
    with database.session() as session:
        assert nodes.refuses(session, "n1") and not nodes.refuses(session, "n2")
        assert [(n.name, n.reason) for n in nodes.all_of(session)] == [
            ("n1", "new disk"),
            ("n2", None),
        ]
    assert report(database, IDLE), "reporting does not end it"
    with database.transaction() as session:
        assert nodes.resume(session, "n1", NOW).reason is None
    assert not report(database, IDLE)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Condition(9, 0, 100.1, 0), "mail waits for 100 s (limit 100)"),
        (Condition(99, 11, 0, 0), "11 messages wait (limit 10)"),
        (Condition(99, 0, 0, 2.5), "load per core is 2.5 (limit 2)"),
        (Condition(9, 12, 0, 3), "12 messages wait (limit 10), load per core is 3.0 (limit 2)"),
        (Condition(9, 10, 100, 2), None),
    ],
)
def test_overload_names_what_is_too_much(condition: Condition, text: str | None) -> None:
    assert nodes.overload(condition, THRESHOLDS, already=False) == text


def test_without_thresholds_there_is_none() -> None:
    assert nodes.overload(Condition(10**6, 10**6, 1e6, 99), Overload(), already=True) is None


def test_it_ends_at_four_fifths(database: Database) -> None:
    refuses = [report(database, Condition(99, n, 0, 0)) for n in (10, 11, 10, 9, 8, 9, 10, 11)]
    assert refuses == [False, True, True, True, False, False, False, True]


def test_overload_and_draining_are_two_things(database: Database) -> None:
    assert report(database, Condition(99, 11, 0, 0))
    with database.transaction() as session:
        nodes.drain(session, "n1", None, NOW)
        nodes.resume(session, "n1", NOW)
    with database.session() as session:
        assert nodes.refuses(session, "n1")
        assert nodes.all_of(session)[0].overload == "11 messages wait (limit 10)"
