"""Sends endpoints again what they got, or never got: one, a selection, or all since a time.

A delivery that is sent again keeps its `webhook_id` and begins anew with its tries.  What is asked
for since a time is made from mail's events and the account's notices, so it is there as long as
they are, also when nothing was enqueued then.  The worker works it off in steps, and no faster than
the endpoint takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    func,
    or_,
    select,
    union_all,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail import reading
from franking.mail.models import Event
from franking.money.terms import terms_of
from franking.notices import notices
from franking.notices.models import Notice
from franking.reasons import Invalid
from franking.webhooks import endpoints, outbox
from franking.webhooks.fanout import EVENTS
from franking.webhooks.filters import MAIL_KINDS, Wanting
from franking.webhooks.models import Delivery, Endpoint, Replay
from franking.webhooks.rendering import rendered

AHEAD = 1_000  # deliveries that wait for an endpoint while more are made
MOST = 1_000  # rows of one transaction: on SQLite it keeps other writers out

_row = Delivery.__table__.c
_BEGINNING = {
    "attempts": 0, "leased_until": None, "delivered_at": None, "dead_at": None,
    "last_status": None, "last_error": None,
}  # fmt: skip
_ENDED = or_(_row.delivered_at.is_not(None), _row.dead_at.is_not(None))


def _again(insert: Any) -> Any:
    """Add it, or begin anew with the one that there is; one that waits goes on waiting."""
    new = {name: insert.excluded[name] for name in ("body", "due_at", "events")}
    return insert.on_conflict_do_update(
        index_elements=["endpoint_id", "webhook_id"], set_=_BEGINNING | new, where=_ENDED
    )


_ADD: dict[str, Any] = {
    "sqlite": _again(sqlite.insert(Delivery)),
    "postgresql": _again(postgresql.insert(Delivery)),
}


# --- one, or a selection ------------------------------------------------------------------------


def again(
    session: Session,
    account: Account,
    endpoint_id: int,
    delivery_ids: Sequence[int],
    now: datetime,
) -> int:
    """Send these at once, whatever became of them; returns how many.  Raises Invalid, NotFound."""
    _open(session, account, endpoint_id)
    known = session.execute(
        select(_row.id, _row.body.is_(None)).where(
            _row.endpoint_id == endpoint_id, _row.id.in_(delivery_ids)
        )
    ).all()
    if any(forgotten for _, forgotten in known):
        raise Invalid("it is too old to be kept; send everything since then instead")
    return _reset(session, endpoint_id, now, _row.id.in_([number for number, _ in known]))


def again_all_dead(session: Session, account: Account, endpoint_id: int, now: datetime) -> int:
    """What was given up and is still kept, the oldest `MOST`; returns how many.  Raises Invalid,
    NotFound."""
    _open(session, account, endpoint_id)
    dead = select(Delivery.id).where(
        Delivery.endpoint_id == endpoint_id,
        Delivery.dead_at.is_not(None),
        Delivery.body.is_not(None),
    )
    return _reset(session, endpoint_id, now, _row.id.in_(dead.order_by(Delivery.id).limit(MOST)))


def _open(session: Session, account: Account, endpoint_id: int) -> Endpoint:
    endpoint = endpoints.get(session, account, endpoint_id, for_update=True)
    if endpoint.disabled_at is not None:
        raise Invalid("the endpoint is disabled")
    return endpoint


def _reset(session: Session, endpoint_id: int, now: datetime, *which: ColumnElement[bool]) -> int:
    """One that is being posted at this moment is left alone: its lease says so."""
    free = or_(_ENDED, _row.leased_until.is_(None), _row.leased_until <= now)
    begun = update(Delivery).where(Delivery.endpoint_id == endpoint_id, free, *which)
    values = begun.values(_BEGINNING | {"due_at": now}).returning(Delivery.id)
    return len(session.scalars(values.execution_options(synchronize_session="fetch")).all())


# --- everything since a time --------------------------------------------------------------------


def since(
    session: Session, account: Account, endpoint_id: int, since: datetime, now: datetime
) -> Replay:
    """Ask for everything from then until now that the endpoint wants.  Raises Invalid, NotFound."""
    endpoint = _open(session, account, endpoint_id)
    kept = terms_of(account.plan.terms).retention.events
    if not now - timedelta(days=kept) <= since < now:
        raise Invalid.of("since", f"a time within the last {kept} days")
    if session.scalar(_under_way(endpoint_id)) is not None:
        raise Invalid("a replay is under way")
    replay = Replay(
        endpoint_id=endpoint_id, since=since, until=now, reached=since, requested_at=now
    )
    session.add(replay)
    replay.events = _notices(session, endpoint, since, now)
    session.flush()
    return replay


def of(session: Session, endpoint: Endpoint, limit: int = 5) -> Sequence[Replay]:
    """Newest first; under way is what has no `done_at`."""
    query = select(Replay).where(Replay.endpoint_id == endpoint.id)
    return session.scalars(query.order_by(Replay.id.desc()).limit(limit)).all()


def _under_way(endpoint_id: int) -> Any:
    query = select(Replay.id).where(Replay.endpoint_id == endpoint_id, Replay.done_at.is_(None))
    return query.limit(1)


def _notices(session: Session, endpoint: Endpoint, since: datetime, now: datetime) -> int:
    wanted = select(Notice).where(Notice.account_id == endpoint.account_id, Notice.at >= since)
    if endpoint.events:
        wanted = wanted.where(Notice.kind.in_(endpoint.events))
    rows = [
        outbox.row(endpoint.id, name, notice.kind, outbox.body(
            notice.kind, {"id": name, **notices.published(notice.detail)}, notice.at
        ), now) | {"events": 1}
        for notice in session.scalars(wanted.order_by(Notice.id.desc()).limit(MOST))
        for name in (f"notice_{notice.id}",)
    ]  # fmt: skip
    _add(session, rows)
    return len(rows)


def _add(session: Session, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection = session.connection()
        connection.execute(_ADD[connection.dialect.name], rows)


# --- worked off ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """The next part of one replay, made of events behind (`reached`, `event_id`)."""

    replay_id: int
    endpoint_id: int
    reached: datetime
    event_id: int
    to: tuple[datetime, int]
    rows: list[dict[str, Any]]
    events: int
    last: bool


def open_replays(session: Session) -> Sequence[int]:
    """The numbers of those under way, of endpoints that have room for more."""
    waiting = (
        select(_row.id)
        .where(
            _row.endpoint_id == Replay.endpoint_id,
            _row.delivered_at.is_(None),
            _row.dead_at.is_(None),
        )
        .limit(AHEAD)
        .correlate(Replay)
        .subquery()
    )
    few = select(func.count()).select_from(waiting).scalar_subquery() < AHEAD
    query = select(Replay.id).where(Replay.done_at.is_(None), few)
    return session.scalars(query.order_by(Replay.id)).all()


def prepare(session: Session, replay_id: int, now: datetime) -> Step | None:
    """None when there is no such replay any more.  Writes nothing."""
    replay = session.get(Replay, replay_id)
    if replay is None or replay.done_at is not None:
        return None
    endpoint = session.get_one(Endpoint, replay.endpoint_id)
    wanting = Wanting.of(endpoint)
    found = _events(session, replay, endpoint, EVENTS)
    rows: list[dict[str, Any]] = []
    to = (replay.reached, replay.event_id)
    if found:
        to = (found[-1].at, found[-1].id)
        events = reading.these(session, [event.id for event in found], found[0].at, to[0])
        ordered = sorted(events, key=lambda event: (event.at, event.id))
        rows = rendered(ordered, [wanting], now)
    return Step(
        replay.id, endpoint.id, replay.reached, replay.event_id, to, rows,
        sum(row["events"] for row in rows), len(found) < EVENTS,
    )  # fmt: skip


def write(session: Session, step: Step, now: datetime) -> bool:
    """False when another process was quicker: then nothing is written.

    A replay for an endpoint that was disabled meanwhile ends there.
    """
    endpoint = session.get(Endpoint, step.endpoint_id, with_for_update={"read": True})
    query = select(Replay).where(Replay.id == step.replay_id, Replay.done_at.is_(None))
    replay = session.scalar(query.with_for_update())
    if endpoint is None or replay is None:
        return False
    if (replay.reached, replay.event_id) != (step.reached, step.event_id):
        return False
    if endpoint.disabled_at is not None:
        replay.done_at = now
        return False
    _add(session, step.rows)
    replay.reached, replay.event_id = step.to
    replay.events += step.events
    if step.last:
        replay.done_at, replay.reached = now, replay.until
    session.flush()
    return True


def _events(session: Session, replay: Replay, endpoint: Endpoint, limit: int) -> Sequence[Any]:
    """(id, at) of the next ones, by time: for each kind a walk along an index, merged."""
    behind = or_(
        Event.at > replay.reached, and_(Event.at == replay.reached, Event.id > replay.event_id)
    )
    kinds = [kind for kind in MAIL_KINDS if not endpoint.events or kind in endpoint.events]
    if not kinds:
        return []
    walks = [
        select(Event.id, Event.at)
        .where(
            Event.account_id == endpoint.account_id, Event.kind == kind,
            Event.at >= replay.reached, Event.at <= replay.until, behind,
        )
        .order_by(Event.at, Event.id)
        .limit(limit)
        .subquery()
        for kind in kinds
    ]  # fmt: skip
    merged = union_all(*(select(walk.c.id, walk.c.at) for walk in walks)).subquery()
    query = select(merged.c.id, merged.c.at).order_by(merged.c.at, merged.c.id).limit(limit)
    return session.execute(query).all()
