"""What is old enough goes, in batches, and nothing that is still asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select

from franking.accounts.models import AuthFailure, CredentialUse, RateCounter
from franking.db import Database
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.mail.models import IdempotencyKey, MessageAlias, SoftFailure, Suppression
from franking.money.deposits.models import ProviderEvent
from franking.notices.models import Notice
from franking.settings import Protection
from franking.tables import Base
from franking.webhooks.models import Delivery, Endpoint
from worker.housekeeping import purge

from ..conftest import Books

NOW = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)  # half an hour into day and month


def kept(database: Database, now: datetime = NOW) -> int:
    return purge.purge(database, Protection(), now)


@pytest.mark.parametrize(
    ("unit", "start", "goes"),
    [
        ("second", NOW - timedelta(minutes=59), False),
        ("second", NOW - timedelta(minutes=61), True),
        ("minute", NOW - timedelta(minutes=59), False),
        ("minute", NOW - timedelta(minutes=61), True),
        ("hour", NOW.replace(minute=0) - timedelta(hours=1), False),
        ("hour", NOW.replace(minute=0) - timedelta(hours=2), True),
        ("day", datetime(2026, 11, 30, tzinfo=UTC), False),
        ("day", datetime(2026, 11, 29, tzinfo=UTC), True),
        ("month", datetime(2026, 11, 1, tzinfo=UTC), False),
        ("month", datetime(2026, 10, 1, tzinfo=UTC), True),
    ],
)
def test_counters_of_windows_that_are_over(
    database: Database, unit: str, start: datetime, goes: bool
) -> None:
    with database.transaction() as session:
        session.add(RateCounter(subject="account:1", unit=unit, starts_at=start, used=1))
    assert kept(database) == goes


@pytest.mark.parametrize(
    ("model", "values", "column", "age"),
    [
        (
            IdempotencyKey,
            {"account_id": 1, "mode": "live", "key": "k", "content_sha256": "0", "queue_id": "Q",
             "node": "n"},
            "created_at",
            timedelta(hours=25),
        ),
        (
            MessageAlias,
            {"account_id": 1, "queue_id": "Q", "node": "n", "first_queue_id": "P",
             "first_node": "n"},
            "at",
            timedelta(days=180, hours=1),
        ),
        (
            AuthFailure,
            {"subject": "account:1", "failures": 3, "first_at": NOW},
            "last_at",
            timedelta(seconds=Protection().window) + timedelta(hours=1),
        ),
        (
            CredentialUse,
            {"credential_id": 1, "secret_hint": "x", "client_ip": "192.0.2.1",
             "first_used_at": NOW},
            "last_used_at",
            timedelta(days=180),
        ),
        (
            Notice,
            {"account_id": 1, "kind": "balance.low", "detail": {}, "mail_attempts": 0,
             "mail_results": {}},
            "at",
            timedelta(days=400),
        ),
        (
            ProviderEvent,
            {"provider": "stripe", "event_id": "evt_1", "kind": "charge.refunded"},
            "received_at",
            timedelta(days=90),
        ),
        (
            Suppression,
            {"account_id": 1, "address": "a@x.yz", "scope": "account", "scope_name": "",
             "reason": "soft_bounce"},
            "expires_at",
            timedelta(hours=1),
        ),
        (
            SoftFailure,
            {"account_id": 1, "address": "a@x.yz", "queue_id": "Q", "node": "n"},
            "at",
            timedelta(days=366),
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)  # fmt: skip
def test_how_long_each_is_kept(
    books: Books, model: type[Base], values: dict[str, object], column: str, age: timedelta
) -> None:
    with books.database.transaction() as session:
        session.execute(insert(model).values(**values, **{column: NOW - age}))
    assert kept(books.database, NOW) == 0
    assert kept(books.database, NOW + timedelta(seconds=1)) == 1


def test_what_was_delivered_goes_when_the_plan_says(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    week = timedelta(days=7)
    with books.database.transaction() as session:
        session.add(Endpoint(id=1, account_id=1, url="https://example.com/", sealed_secret=b""))
        session.flush()
        for number in range(5):
            session.add(
                Delivery(
                    endpoint_id=1, webhook_id=f"x{number}", kind="delivered", body="{}",
                    created_at=NOW - week, delivered_at=NOW - week,
                )
            )  # fmt: skip
    assert kept(books.database, NOW) == 0
    assert kept(books.database, NOW + timedelta(seconds=1)) == 5


def test_in_small_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 10)
    long_ago = NOW - timedelta(days=400)
    rows = [
        {"subject": f"account:{n}", "unit": "day", "starts_at": long_ago, "used": 1}
        for n in range(25)
    ]
    with database.transaction() as session:
        session.execute(insert(RateCounter), [*rows, rows[0] | {"starts_at": NOW}])
    assert kept(database) == 25
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(RateCounter)) == 1


def test_reports_go_with_their_records_and_sources_stay(books: Books) -> None:
    def report(report_id: int, received_at: datetime) -> DmarcReport:
        return DmarcReport(
            id=report_id, domain_id=1, org_name="r", report_id=str(report_id), begin_at=NOW,
            end_at=NOW, received_at=received_at,
        )  # fmt: skip

    with books.database.transaction() as session:
        session.add_all([report(1, NOW - timedelta(days=91)), report(2, NOW - timedelta(days=89))])
        session.flush()
        for report_id in (1, 2):
            session.add(
                DmarcRow(
                    report_id=report_id, source_ip="192.0.2.1", messages=1, disposition="none",
                    dkim_aligned=True, spf_aligned=True, header_from="shop.test",
                )
            )  # fmt: skip
        session.add(DmarcSource(domain_id=1, source="this relay", messages=2))
    purge.purge(books.database, Protection(), NOW, timedelta(days=90))
    with books.database.session() as session:
        assert list(session.scalars(select(DmarcRow.report_id))) == [2]
        assert list(session.scalars(select(DmarcReport.id))) == [2]
        assert list(session.scalars(select(DmarcSource.messages))) == [2]
