"""What is kept, what counts as a change, and what other nodes have seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from franking.db import Database
from franking.deliverability import results
from franking.deliverability.findings import Finding, fail, ok, unknown, warn
from franking.deliverability.listeners import Peer
from franking.deliverability.results import Report

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LISTED = fail("dnsbl", "192.0.2.25 bl.test", "listed", "ask")
CLEAR = ok("dnsbl", "192.0.2.25 bl.test", "not listed")
SILENT = unknown("dnsbl", "192.0.2.25 bl.test", "no answer", "")


def store(
    database: Database, found: Sequence[Finding], at: datetime = NOW, node: str = "n1"
) -> list[tuple[str | None, str, bool]]:
    with database.transaction() as session:
        changes = results.store(session, node, found, at)
    return [(change.before, change.finding.status, change.worse) for change in changes]


def load(database: Database) -> list[Report]:
    with database.session() as session:
        return results.load(session)


def test_all_is_replaced(database: Database) -> None:
    store(database, [LISTED, ok("helo", "a.test", "has 192.0.2.25")])
    store(database, [CLEAR], NOW + HOUR)
    assert load(database) == [Report("n1", NOW + HOUR, (CLEAR,))]


def test_a_change_is_told_once(database: Database) -> None:
    assert store(database, [CLEAR]) == []
    assert store(database, [LISTED]) == [("ok", "fail", True)]
    assert store(database, [LISTED]) == []
    assert store(database, [CLEAR]) == [("fail", "ok", False)]


def test_what_is_bad_from_the_first_is_told(database: Database) -> None:
    assert store(database, [LISTED]) == [(None, "fail", True)]


def test_from_a_warning_to_a_failure(database: Database) -> None:
    soon = warn("certificate", "submission:587", "expires", "renew")
    store(database, [soon])
    gone = fail("certificate", "submission:587", "expired", "renew")
    assert store(database, [gone]) == [("warn", "fail", True)]
    assert store(database, [soon]) == [("fail", "warn", False)]


def test_silence_proves_nothing(database: Database) -> None:
    """A list that times out has not delisted anybody, nor listed."""
    store(database, [LISTED])
    for hours in (1, 2):
        assert store(database, [SILENT], NOW + hours * HOUR) == []
        (report,) = load(database)
        assert report.findings == (LISTED,)
    assert store(database, [LISTED], NOW + 3 * HOUR) == []


def test_a_day_of_silence_is_told_as_such(database: Database) -> None:
    store(database, [CLEAR])
    store(database, [SILENT], NOW + 24 * HOUR)
    (report,) = load(database)
    assert [f.detail for f in report.findings] == ["no answer"]


def test_the_same_twice_is_one_row(database: Database) -> None:
    store(database, [CLEAR, CLEAR])
    assert load(database)[0].findings == (CLEAR,)


OWN = [
    ok("ptr", "192.0.2.25", "and back"),
    ok("certificate", "submission:587", "good"),
    ok("certificate", "smtp:25", "good"),
]


def test_one_node_has_no_outside_view(database: Database) -> None:
    store(database, OWN)
    (report,) = load(database)
    view = next(f for f in report.findings if f.name == "outside view")
    assert (view.status, "franking deliverability probe HOST" in view.fix) == ("warn", True)


def test_a_node_that_tells_no_address_has_nothing_to_be_seen(database: Database) -> None:
    store(database, [warn("addresses", "", "not set", "set it")])
    assert [f.name for f in load(database)[0].findings] == ["addresses"]


def test_what_another_node_has_seen(database: Database) -> None:
    store(database, OWN)
    shut = fail("reachable", "n1 192.0.2.25:587", "refused", "open it")
    store(database, [ok("helo", "out2.test", "good"), shut], node="n2")
    first, second = load(database)
    assert [(f.name, f.subject, f.status) for f in first.findings][-1:] == [
        ("reachable", "192.0.2.25:587 from n2", "fail")
    ]
    assert [f.name for f in second.findings] == ["helo"]


def test_what_a_node_saw_that_is_gone_is_forgotten(database: Database) -> None:
    shut = fail("reachable", "n1 192.0.2.25:587", "refused", "open it")
    store(database, [shut], node="n2")
    store(database, OWN, NOW + 25 * HOUR)
    (report,) = load(database)
    assert "reachable" not in {f.name for f in report.findings}


def test_peers_are_the_others_that_have_lately_told(database: Database) -> None:
    store(database, OWN, node="n2")
    with database.session() as session:
        assert results.peers(session, "n2", NOW) == []
        expected = Peer("n2", ("192.0.2.25",), (("smtp", 25), ("submission", 587)))
        assert results.peers(session, "n1", NOW) == [expected]
        assert results.peers(session, "n1", NOW + 24 * HOUR) == []
