"""Accounts that want the same name at the same moment, on two engines of one database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select, update

from franking.db import Database
from franking.domains import life, ownership
from franking.domains.models import Domain
from franking.notices.models import Notice
from tests import factories
from tests.looks import look

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
RIVALS = 4
ROUNDS = 12

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]  # it has both


@pytest.fixture(scope="module")
def rivals(two: list[Database]) -> list[int]:
    """The same name in so many accounts."""
    with two[0].transaction() as session:
        plan = factories.plan(session)
        return [
            ownership.add(
                session, factories.account(session, on=plan), "example.com",
                master_key=factories.MASTER_KEY, now=NOW,
            ).id
            for _ in range(RIVALS)
        ]  # fmt: skip


def verified(database: Database) -> list[int]:
    with database.session() as session:
        return list(session.scalars(select(Domain.id).where(Domain.verified_at.is_not(None))))


def test_one_gets_it_each_time(two: list[Database], rivals: list[int]) -> None:
    """All prove it at once, first with nobody there, then while the holder is losing it."""
    for number in range(ROUNDS):
        now = NOW + number * timedelta(hours=1)
        before = verified(two[0])
        assert len(before) == min(number, 1)
        with two[0].transaction() as session:
            for each in before:
                holder = session.get_one(Domain, each, with_for_update=True)
                look(session, holder, now, ownership="wrong")
        others = [each for each in rivals if each not in before]
        start = Barrier(len(others))

        def race(place: int, others: list[int] = others, now: datetime = now) -> None:
            start.wait()  # noqa: B023 - of this round
            with two[place % 2].transaction() as session:
                row = session.get_one(Domain, others[place], with_for_update=True)
                look(session, row, now)

        with ThreadPoolExecutor(len(others)) as pool:
            list(pool.map(race, range(len(others))))
        after = verified(two[1])
        assert len(after) == 1 and after != before
    with two[0].session() as session:
        counted = select(Notice.kind, func.count()).group_by(Notice.kind)
        told = dict(session.execute(counted).all())
    assert told == {"domain.verified": ROUNDS, "domain.lost": ROUNDS - 1}


def test_no_two_workers_claim_the_same(two: list[Database], rivals: list[int]) -> None:
    with two[0].transaction() as session:
        session.execute(update(Domain).values(check_due_at=NOW))
    start = Barrier(8)

    def claims(place: int) -> list[int]:
        start.wait()
        with two[place % 2].transaction() as session:
            return life.claim(session, NOW, 1)

    with ThreadPoolExecutor(8) as pool:
        claimed = [each for some in pool.map(claims, range(8)) for each in some]
    assert sorted(claimed) == sorted(rivals)
