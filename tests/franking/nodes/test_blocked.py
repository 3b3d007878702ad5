"""Receivers that refuse this node's address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from franking.db import Database
from franking.deliverability import results
from franking.deliverability.findings import ok
from franking.nodes import blocked
from franking.nodes.blocked import Refusal

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def refuse(database: Database, *hosts: str, at: datetime = NOW, node: str = "n1") -> list[str]:
    """Returns the receivers for which there was an alarm."""
    refusals = [Refusal(host, at, "192.0.2.1", f"550 {host} says no", "Q1") for host in hosts]
    with capture_logs() as logged, database.transaction() as session:
        blocked.record(session, node, refusals)
    return [line["receiver"] for line in logged if line["event"] == "address_blocked"]


def present(database: Database, at: datetime = NOW) -> list[tuple[str, str, int, datetime]]:
    with database.session() as session:
        return [(b.node, b.receiver, b.refusals, b.first_at) for b in blocked.present(session, at)]


def test_all_servers_of_a_receiver_are_one(database: Database) -> None:
    assert refuse(database, "mx1.mail.example.co.uk.", "MX2.example.co.uk") == ["example.co.uk"]
    assert present(database) == [("n1", "example.co.uk", 2, NOW)]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "localhost", "bücher.example", "."])
def test_names_that_are_none(database: Database, host: str) -> None:
    refuse(database, host)
    assert len(present(database)) == 1


def test_one_alarm_an_hour_for_each(database: Database) -> None:
    assert refuse(database, "mx.a.test") == ["a.test"]
    assert refuse(database, "mx.a.test", "mx.b.test", at=NOW + HOUR / 2) == ["b.test"]
    assert refuse(database, "mx.a.test", at=NOW + 2 * HOUR) == ["a.test"]


def test_it_is_over_after_a_day_and_then_begins_anew(database: Database) -> None:
    refuse(database, "mx.a.test")
    refuse(database, "mx.a.test", at=NOW + 23 * HOUR)
    assert present(database, NOW + 30 * HOUR) == [("n1", "a.test", 2, NOW)]
    later = NOW + 48 * HOUR
    assert present(database, later) == []
    refuse(database, "mx.a.test", at=later)
    assert present(database, later) == [("n1", "a.test", 1, later)]


def test_it_stands_beside_the_nodes_other_findings(database: Database) -> None:
    refuse(database, "mx.a.test", node="n2")
    with database.transaction() as session:
        for node in ("n1", "n2"):
            results.store(session, node, [ok("helo", "relay.test", "fine")], NOW)
    with database.session() as session:
        first, second = results.load(session, NOW + HOUR)
        assert [finding.name for finding in first.findings] == ["helo"]
        (refused,) = (f for f in second.findings if f.name == results.REFUSED)
        assert (refused.status, refused.subject) == ("fail", "a.test")
        assert "550 mx.a.test says no" in refused.detail
        again = results.asked_now("n2", [ok("helo", "relay.test", "fine")], NOW, second)
        assert refused in again.findings
        assert refused not in results.load(session, NOW + 25 * HOUR)[1].findings
