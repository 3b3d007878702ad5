"""Two accounts and one name: 0 double-verified, whatever the DNS says and whoever is faster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database
from franking.domains import life, ownership
from franking.domains.checks.finding import Status
from franking.domains.models import Domain
from franking.mail.authority import signing_domain
from franking.notices.models import Notice
from franking.reasons import Taken
from tests import factories
from tests.looks import findings, look

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def rivals(database: Database) -> tuple[int, int]:
    """The holder of the name, and who wants it."""
    with database.transaction() as session:
        plan = factories.plan(session)
        holder, newcomer = (
            ownership.add(
                session,
                factories.account(session, on=plan),
                "example.com",
                master_key=factories.MASTER_KEY,
                now=NOW - HOUR,
            )
            for _ in range(2)
        )
        look(session, holder, NOW - HOUR)
        return holder.id, newcomer.id


def verified(*domains: Domain) -> list[datetime | None]:
    return [domain.verified_at for domain in domains]


def test_what_the_holder_has_nobody_gets(database: Database, rivals: tuple[int, int]) -> None:
    """Not even with all records; but the holder's are looked at again at once."""
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        with pytest.raises(Taken, match="verified by another account"):
            ownership.verify(session, newcomer, findings(session, newcomer), NOW)
        assert holder.check_due_at is not None and holder.check_due_at > NOW
        look(session, newcomer, NOW)
        assert (holder.verified_at, newcomer.verified_at) == (NOW - HOUR, None)
        assert holder.check_due_at == NOW
        assert "another account" in (life.obstacle(session, newcomer) or "")
        assert life.obstacle(session, holder) is None


@pytest.mark.parametrize("status", ["missing", "wrong"])
def test_who_proves_it_after_the_holder_has_lost_it(
    status: Status, database: Database, rivals: tuple[int, int]
) -> None:
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        look(session, holder, NOW, ownership=status)
        look(session, newcomer, NOW + MINUTE)
        assert (holder.verified_at, newcomer.verified_at) == (None, NOW + MINUTE)
        assert (holder.failing_since, holder.verified_by) == (None, None)
        assert signing_domain(session, holder.account_id, "example.com") is None
        mine = signing_domain(session, newcomer.account_id, "example.com")
        assert mine is not None and mine.domain_id == newcomer.id
        kinds = {(n.account_id, n.kind) for n in session.scalars(select(Notice))}
        assert (holder.account_id, "domain.lost") in kinds
        assert (newcomer.account_id, "domain.verified") in kinds
        audited = select(AuditEntry).where(AuditEntry.action == "domain.lost")
        assert session.scalars(audited).one().account_id == holder.account_id


@pytest.mark.parametrize(
    "found",
    [
        {"ownership": "temporary_failure", "dkim": "temporary_failure"},
        {"ownership": "temporary_failure", "dkim": "missing"},
        {"dkim": "wrong"},
        {"ownership": "pending"},
    ],
)
def test_the_holder_loses_it_by_its_token_only(
    found: dict[str, Status], database: Database, rivals: tuple[int, int]
) -> None:
    """Silence proves nothing, and a wrong key is no wrong owner."""
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        for minutes in range(20):
            look(session, holder, NOW + minutes * MINUTE, **found)
            look(session, newcomer, NOW + minutes * MINUTE)
            assert newcomer.verified_at is None
        assert holder.verified_at is not None


@pytest.mark.parametrize(
    "found",
    [
        {"ownership": "missing"},
        {"dkim": "missing"},
        {"dkim": "temporary_failure"},
        {"ownership": "pending"},
    ],
)
def test_half_a_proof_takes_nothing(
    found: dict[str, Status], database: Database, rivals: tuple[int, int]
) -> None:
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        look(session, holder, NOW, ownership="missing")
        look(session, newcomer, NOW + MINUTE, **found)
        assert (holder.verified_at, newcomer.verified_at) == (NOW - HOUR, None)


def test_another_token_is_no_proof(database: Database, rivals: tuple[int, int]) -> None:
    """What was found for the holder's row says nothing about the newcomer's."""
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        look(session, holder, NOW, ownership="missing")
        foreign = findings(session, holder)
        assert not ownership.verify(session, newcomer, foreign, NOW)
        newcomer.ownership_token = ""
        assert not ownership.verify(session, newcomer, findings(session, newcomer), NOW)
        assert not ownership.verify(session, newcomer, [], NOW)


def test_what_was_seen_hours_ago_is_looked_at_again(
    database: Database, rivals: tuple[int, int]
) -> None:
    """The holder may have mended it meanwhile."""
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        look(session, holder, NOW, ownership="missing")
        later = NOW + HOUR
        look(session, newcomer, later)
        assert verified(newcomer, holder) == [None, NOW - HOUR]
        assert (holder.check_due_at, newcomer.check_due_at) == (later, later + MINUTE)
        look(session, holder, later, ownership="missing")
        look(session, newcomer, later + MINUTE)
        assert verified(newcomer, holder) == [later + MINUTE, None]


def test_an_operators_word_does_not_keep_it(database: Database, rivals: tuple[int, int]) -> None:
    with database.transaction() as session:
        holder, newcomer = (session.get_one(Domain, each) for each in rivals)
        holder.verified_by = "assumed"
        look(session, holder, NOW, ownership="missing", dkim="missing")
        look(session, newcomer, NOW + MINUTE)
        assert newcomer.verified_at == NOW + MINUTE


def test_it_goes_back_and_forth_by_proof(database: Database, rivals: tuple[int, int]) -> None:
    with database.transaction() as session:
        rows = [session.get_one(Domain, each) for each in rivals]
        for turn in range(1, 6):
            at = NOW + turn * HOUR
            loser, winner = rows[(turn - 1) % 2], rows[turn % 2]
            look(session, loser, at, ownership="wrong")
            look(session, winner, at)
            assert (loser.verified_at, winner.verified_at) == (None, at)


def test_of_many_at_once_one_gets_it(database: Database) -> None:
    """The index decides; the others are told why not."""
    with database.transaction() as session:
        plan = factories.plan(session)
        ids = [
            ownership.add(
                session,
                factories.account(session, on=plan),
                "example.com",
                master_key=factories.MASTER_KEY,
                now=NOW,
            ).id
            for _ in range(6)
        ]
    start = Barrier(len(ids))

    def race(domain_id: int) -> bool:
        start.wait()
        with database.transaction() as session:
            row = session.get_one(Domain, domain_id, with_for_update=True)
            look(session, row, NOW)
            return row.verified_at is not None

    with ThreadPoolExecutor(len(ids)) as pool:
        assert sorted(pool.map(race, ids)) == [False] * 5 + [True]
