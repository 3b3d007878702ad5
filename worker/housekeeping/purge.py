"""Deletes rows that nobody asks for any more, a few at a time.

Several nodes may do it at once; on PostgreSQL each skips the rows that another has taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, delete, select, tuple_
from sqlalchemy.orm import Session

from franking.accounts.limits import UNITS, start_of
from franking.accounts.models import AuthFailure, CredentialUse, RateCounter
from franking.db import Database
from franking.domains.dmarc.models import DmarcReport
from franking.mail.models import IdempotencyKey, MessageAlias, SoftFailure, Suppression
from franking.money.deposits.models import ProviderEvent
from franking.notices.models import Notice
from franking.settings import Protection
from franking.tables import Base
from franking.webhooks import retention

BATCH = 500  # rows of one transaction
MARGIN = timedelta(hours=1)  # other nodes' clocks, and transactions that began before
IDEMPOTENCY = timedelta(hours=24)
ALIASES = timedelta(days=180)
CREDENTIAL_USES = timedelta(days=180)
NOTICES = timedelta(days=400)  # a year and what a customer needs to look back at it
REPORTS = timedelta(days=400)  # about domains, from receivers
SOFT_FAILURES = timedelta(days=366)  # the longest window in which they count
PROVIDER_EVENTS = timedelta(days=90)  # providers repeat them for days; a later one books nothing

Model = type[Base]
Work = Callable[[Session], int]


def purge(
    database: Database,
    protection: Protection,
    now: datetime,
    reports: timedelta = REPORTS,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Returns how many rows are gone; `reports`: how long those of DMARC are kept."""
    work: list[Work] = [lambda session: retention.forget(session, now, BATCH)]
    for model, condition in _outdated(protection, now, reports):
        work.append(partial(_delete, model=model, condition=condition))
    return sum(_all_of(database, each, stopped) for each in work)


def _all_of(database: Database, work: Work, stopped: Callable[[], bool]) -> int:
    gone = 0
    while not stopped():
        with database.transaction() as session:
            count = work(session)
        gone += count
        if count < BATCH:
            break
    return gone


def _outdated(
    protection: Protection, now: datetime, reports: timedelta
) -> Iterator[tuple[Model, ColumnElement[bool]]]:
    yield IdempotencyKey, IdempotencyKey.created_at < now - IDEMPOTENCY - MARGIN
    yield MessageAlias, MessageAlias.at < now - ALIASES - MARGIN
    yield Notice, Notice.at < now - NOTICES
    yield ProviderEvent, ProviderEvent.received_at < now - PROVIDER_EVENTS
    yield DmarcReport, DmarcReport.received_at < now - reports  # and its records: CASCADE
    yield Suppression, Suppression.expires_at < now - MARGIN
    yield SoftFailure, SoftFailure.at < now - SOFT_FAILURES
    for unit in UNITS:
        over = RateCounter.starts_at < start_of(unit, now - MARGIN)
        yield RateCounter, over & (RateCounter.unit == unit)
    forgotten = now - timedelta(seconds=protection.window) - MARGIN
    yield AuthFailure, AuthFailure.last_at < forgotten
    yield CredentialUse, CredentialUse.last_used_at < now - CREDENTIAL_USES


def _delete(session: Session, model: Model, condition: ColumnElement[bool]) -> int:
    key = tuple_(*model.__table__.primary_key)
    batch = select(*model.__table__.primary_key).where(condition).limit(BATCH)
    old = session.execute(batch.with_for_update(skip_locked=True)).all()
    if old:
        session.execute(_by_key(model, key, [tuple(row) for row in old]))
    return len(old)


def _by_key(model: Model, key: Any, rows: list[tuple[Any, ...]]) -> Any:
    return delete(model).where(key.in_(rows)).execution_options(synchronize_session=False)
