"""A domain's days, with the clock in our hands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains import found, life, ownership
from franking.domains.models import DnsCheck, Domain
from franking.domains.records import RelayNames
from franking.mail.authority import signing_domain
from franking.notices.models import Notice
from tests import factories
from tests.looks import look

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RELAY = RelayNames(bounces="bounce.relay.example")


@pytest.fixture
def domain_id(database: Database) -> int:
    with database.transaction() as session:
        account = factories.account(session)
        name, key = "example.com", factories.MASTER_KEY
        return ownership.add(session, account, name, master_key=key, now=NOW).id


def told(session: Session) -> Sequence[str]:
    return session.scalars(select(Notice.kind).order_by(Notice.id)).all()


def may_send(session: Session, domain: Domain) -> bool:
    return signing_domain(session, domain.account_id, domain.name) is not None


def test_the_first_time_right(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW, dkim="missing")
        assert (life.state(domain), told(session)) == ("pending", [])
        look(session, domain, NOW + MINUTE)
        assert (life.state(domain), told(session)) == ("verified", ["domain.verified"])
        assert (domain.verified_by, domain.verified_at) == ("dns", NOW + MINUTE)
        look(session, domain, NOW + HOUR)
        assert told(session) == ["domain.verified"]


def test_what_is_advised_is_not_required(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW, RELAY, return_path="missing", dmarc="wrong")
        assert life.state(domain) == "verified"
        look(session, domain, NOW + DAY, RELAY, return_path="wrong", dmarc="missing")
        assert life.state(domain) == "verified"


def test_from_wrong_to_suspended_and_back(database: Database, domain_id: int) -> None:
    """Looked at hourly: warned after three days, suspended four days after that; told once each."""
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW)
        seen: list[tuple[int, tuple[str, str]]] = []
        for hour in range(1, 24 * 9):
            at = NOW + hour * HOUR
            look(session, domain, at, dkim="missing")
            assert domain.check_due_at == at + HOUR
            if not seen or seen[-1][1] != (life.state(domain), told(session)[-1]):
                seen.append((hour, (life.state(domain), told(session)[-1])))
        assert seen == [
            (1, ("failing", "domain.verified")),
            (1 + 72, ("failing", "domain.failing")),
            (1 + 72 + 96, ("suspended", "domain.failed")),
        ]
        assert not may_send(session, domain)
        notice = session.scalars(select(Notice).where(Notice.kind == "domain.failing")).one()
        assert (notice.detail["domain"], notice.detail["days_left"]) == ("example.com", 4)
        look(session, domain, NOW + 10 * DAY)
        assert life.state(domain) == "verified" and may_send(session, domain)
        assert told(session)[2:] == ["domain.failed", "domain.restored"]
        assert (domain.failing_since, domain.warned_at, domain.suspended_at) == (None,) * 3


def test_a_short_trouble_is_not_told(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW)
        look(session, domain, NOW + DAY, ownership="missing")
        assert may_send(session, domain)
        look(session, domain, NOW + 2 * DAY)
        assert (life.state(domain), told(session)) == ("verified", ["domain.verified"])


def test_nobody_is_suspended_without_a_warning(database: Database, domain_id: int) -> None:
    """The worker was away for a month: the grace begins when the customer is told."""
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW)
        look(session, domain, NOW + DAY, dkim="wrong")
        back = NOW + 30 * DAY
        look(session, domain, back, dkim="wrong")
        look(session, domain, back + 3 * DAY, dkim="wrong")
        assert life.state(domain) == "failing"
        look(session, domain, back + 4 * DAY, dkim="wrong")
        assert life.state(domain) == "suspended"


def test_silence_changes_nothing_but_the_next_look(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW)
        for day in range(1, 60):
            look(session, domain, NOW + day * DAY, ownership="temporary_failure")
            assert domain.check_due_at == NOW + day * DAY + HOUR
        assert (life.state(domain), domain.failing_since) == ("verified", None)
        later = NOW + 60 * DAY
        look(session, domain, later, dkim="missing")
        look(session, domain, later + 10 * DAY, dkim="temporary_failure")
        assert (life.state(domain), domain.failing_since) == ("failing", later)
        assert told(session) == ["domain.verified"]


def test_an_operators_word_is_not_overruled(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        ownership.mark_verified(session, domain, by="assumed", now=NOW)
        for day in range(60):
            look(session, domain, NOW + day * DAY, ownership="missing", dkim="missing")
        assert (life.state(domain), told(session)) == ("failing", [])
        assert may_send(session, domain)
        look(session, domain, NOW + 60 * DAY)
        assert (life.state(domain), domain.verified_by) == ("verified", "dns")


def test_the_return_path_is_used_while_it_is_there(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)

        def used() -> str | None:
            found = signing_domain(session, domain.account_id, domain.name)
            return found.return_path if found else None

        look(session, domain, NOW, RELAY)
        assert used() == "bounce.example.com"
        look(session, domain, NOW + DAY, RELAY, return_path="temporary_failure")
        assert (used(), domain.return_path_at) == ("bounce.example.com", NOW)
        look(session, domain, NOW + 2 * DAY, RELAY, return_path="wrong")
        assert used() is None
        look(session, domain, NOW + 3 * DAY, RELAY)
        look(session, domain, NOW + 4 * DAY)  # it is not expected any more
        assert used() is None


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (0 * MINUTE, MINUTE),
        (59 * MINUTE, MINUTE),
        (HOUR, 5 * MINUTE),
        (DAY - MINUTE, 5 * MINUTE),
        (DAY, HOUR),
        (14 * DAY - MINUTE, HOUR),
    ],
)
def test_pending_is_looked_at_often_and_then_less(
    age: timedelta, wait: timedelta, database: Database, domain_id: int
) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        look(session, domain, NOW + age, ownership="missing")
        assert domain.check_due_at == NOW + age + wait


def test_days_are_spread_by_domain(database: Database, domain_id: int) -> None:
    with database.session() as session:
        domain = session.get_one(Domain, domain_id)
        domain.created_at = NOW - 15 * DAY
        waits = []
        for number in range(1, 1001):
            domain.id = number
            waits.append(life.wait(domain, NOW))
        assert 0.9 * DAY <= min(waits) < 0.91 * DAY < 1.09 * DAY < max(waits) <= 1.1 * DAY
        assert len(set(waits)) == 1000
        assert life.wait(domain, NOW) == waits[-1], "each by the same"


def test_a_suspended_domain_is_not_looked_at_hourly_for_ever(
    database: Database, domain_id: int
) -> None:
    with database.session() as session:
        domain = session.get_one(Domain, domain_id)
        domain.verified_at = domain.failing_since = domain.suspended_at = NOW
        assert life.wait(domain, NOW + 14 * DAY) == HOUR
        assert life.wait(domain, NOW + 15 * DAY) > 0.9 * DAY


def test_what_was_found_is_kept_per_record(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        before = found.statuses(session, domain, RELAY)
        assert {shown.status for shown in before} == {"not_started"}
        look(session, domain, NOW, RELAY, dkim="missing")
        look(session, domain, NOW + DAY, RELAY, return_path="wrong")
        shown = {each.record.purpose: each for each in found.statuses(session, domain, RELAY)}
        assert shown["dkim"].seen_at == shown["dkim"].checked_at == NOW + DAY
        assert shown["return_path"].seen_at == NOW
        assert [shown[p].status for p in ("ownership", "dkim", "return_path")] == [
            "verified", "verified", "wrong",
        ]  # fmt: skip
        look(session, domain, NOW + 2 * DAY)
        purposes = set(session.scalars(select(DnsCheck.purpose)))
        assert "return_path" not in purposes and "ownership" in purposes


def test_a_clock_that_was_ahead_does_not_end_the_looks(database: Database, domain_id: int) -> None:
    with database.transaction() as session:
        domain = session.get_one(Domain, domain_id)
        ahead = NOW + 365 * DAY
        look(session, domain, ahead)
        assert life.due(session, NOW, 1) == [domain_id]
        assert life.claim(session, NOW, 1) == [domain_id]
        assert life.due(session, NOW, 1) == []
        look(session, domain, NOW)
        assert life.due(session, NOW + HOUR, 1) == [], "tomorrow is not far"


def test_a_claim_is_a_lease(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        ids = [
            ownership.add(
                session, account, f"d{n}.example", master_key=factories.MASTER_KEY,
                now=NOW - n * MINUTE,
            ).id
            for n in range(3)
        ]  # fmt: skip
        ownership.remove(session, account, "d2.example", NOW)
        assert life.due(session, NOW - 2 * MINUTE, 9) == []
        assert life.claim(session, NOW, 1) == [ids[1]], "the longest overdue first"
        assert life.claim(session, NOW, 9) == [ids[0]]
        assert life.due(session, NOW + life.LEASE - MINUTE, 9) == []
        assert len(life.due(session, NOW + life.LEASE, 9)) == 2, "after a worker has died"
        life.release(session, ids, NOW + MINUTE)
        assert sorted(life.due(session, NOW + MINUTE, 9)) == ids[:2], "not what was removed"
