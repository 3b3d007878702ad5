"""Two nodes suppress the same addresses at once: on both engines nobody waits in a circle, no entry
is there twice, and files are taken meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from franking.db import Database
from franking.mail import suppressions
from franking.mail.config import Suppressions
from franking.mail.models import SoftFailure, Suppression
from franking.mail.suppressing import Failure, consider
from tests import factories

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]  # it has both

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
RULES = Suppressions(soft_failures=3, soft_days=14)
ADDRESSES = [f"a{number}@example.org" for number in range(40)]
ROUNDS = 6


def failures(account: int, job: int, category: str) -> list[Failure]:
    """In one order on one node, and the other way round on the other."""
    wanted = ADDRESSES if job % 2 else ADDRESSES[::-1]
    return [
        Failure(account, address, f"Q{job}", f"n{job % 2}", 1, "bounced", category)
        for address in wanted
    ]


def test_nobody_waits_in_a_circle(two: list[Database]) -> None:
    with two[0].transaction() as session:
        account = factories.account(session).id

    def fail(job: int) -> int:
        with two[job % 2].transaction() as session:
            category = "mailbox_full" if job < ROUNDS else "invalid_recipient"
            return consider(session, failures(account, job, category), RULES, NOW)

    def put(job: int) -> int:
        rows = [
            {
                "account_id": account, "address": address, "scope": "account", "scope_name": "",
                "reason": "complaint", "note": None, "created_at": NOW,
                "expires_at": NOW + timedelta(days=1), "event_id": None,
            }
            for address in ADDRESSES
        ]  # fmt: skip
        with two[job % 2].transaction() as session:
            return suppressions.put(session, rows, NOW)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fail, job) for job in range(2 * ROUNDS)]
        jobs += [pool.submit(put, job) for job in range(2)]
        for job in jobs:
            job.result()
    with two[0].session() as session:
        rows = session.scalars(select(Suppression).where(Suppression.account_id == account)).all()
        assert sorted(row.address for row in rows) == sorted(ADDRESSES)
        assert {(row.reason, row.expires_at) for row in rows} == {("hard_bounce", None)}


def test_three_messages_on_either_engine(two: list[Database]) -> None:
    with two[0].transaction() as session:
        account = factories.account(session).id
        for job in range(2):
            assert consider(session, failures(account, job, "mailbox_full"), RULES, NOW) == 0
    with two[1].transaction() as session:
        again = failures(account, 1, "mailbox_full")
        assert consider(session, again, RULES, NOW) == 0  # the same messages
        assert consider(session, failures(account, 2, "mailbox_full"), RULES, NOW) == len(ADDRESSES)
        left = select(func.count()).where(SoftFailure.account_id == account)
        assert session.scalar(left) == 0
        found = suppressions.matching(session, account, ADDRESSES, "", "default", now=NOW)
        assert set(found) == set(ADDRESSES)
        later = NOW + timedelta(days=14)
        assert not suppressions.matching(session, account, ADDRESSES, "", "default", now=later)
