"""Endpoints that take nothing: their account is told after a day, and we stop after three.

Stopping costs nothing: what happened is still there, to be sent again from any time on
(`franking.webhooks.replays`), for as long as the plan keeps events.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.notices import notices
from franking.webhooks import endpoints
from franking.webhooks.models import Endpoint
from franking.webhooks.queue import Done

WARN = timedelta(days=1)
PAUSE = timedelta(days=3)


def look(session: Session, now: datetime) -> list[Endpoint]:
    """Warn and pause whom it is time for; returns those that are paused now."""
    failing = (
        select(Endpoint)
        .where(Endpoint.disabled_at.is_(None), Endpoint.failing_since <= now - WARN)
        .order_by(Endpoint.id)
        .with_for_update(skip_locked=True)
    )
    paused = []
    for endpoint in session.scalars(failing).all():
        assert endpoint.failing_since is not None
        if endpoint.failing_since <= now - PAUSE:
            _pause(session, endpoint, endpoints.TOOK_NOTHING, now)
            paused.append(endpoint)
        elif endpoint.warned_at is None:
            endpoint.warned_at = now
            _tell(session, "endpoint.failing", endpoint, now, until=_day(endpoint.failing_since))
    return paused


def gone(session: Session, written: Iterable[Done], now: datetime) -> list[Endpoint]:
    """Those that answered 410 want no more, ever.  Returns them."""
    paused = []
    for number in sorted({claimed.endpoint_id for claimed, outcome in written if outcome.gone}):
        endpoint = session.get(Endpoint, number, with_for_update=True)
        if endpoint is not None and endpoint.disabled_at is None:
            _pause(session, endpoint, endpoints.GONE, now)
            paused.append(endpoint)
    return paused


def _pause(session: Session, endpoint: Endpoint, reason: str, now: datetime) -> None:
    endpoints.close(session, endpoint, reason, now)
    _tell(session, "endpoint.paused", endpoint, now, reason=reason)


def _day(failing_since: datetime) -> str:
    return (failing_since + PAUSE).isoformat(timespec="minutes")


def _tell(session: Session, kind: str, endpoint: Endpoint, now: datetime, **more: str) -> None:
    since = endpoint.failing_since or now
    about = {"endpoint": endpoint.id, "url": endpoint.url, "since": since.isoformat(), **more}
    notices.give(session, endpoint.account_id, kind, about, now)
