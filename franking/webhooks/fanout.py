"""Puts mail's events into the outbox of each endpoint that wants them, behind the mail's back.

The worker reads all accounts' events in the order in which they were committed (reader `webhooks`
of `franking.mail.reading`), makes rows of them while no transaction is open, and then writes the
rows and how far it has come in one short transaction.  Whoever was overtaken meanwhile by another
process writes nothing.  So each event gets into each outbox once, whatever dies when.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail import reading
from franking.mail.reading import Place
from franking.money.models import Plan
from franking.money.terms import terms_of
from franking.webhooks.filters import Wanting
from franking.webhooks.models import Delivery, Endpoint
from franking.webhooks.rendering import rendered

READER = "webhooks"
EVENTS = 500  # at a time
# SQLite has one writer: each of these transactions is a pause for all others.
ROWS = 2_000

_ADD: dict[str, Any] = {
    "sqlite": sqlite.insert(Delivery).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(Delivery).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Prepared:
    """What follows from the events between two places; `full`: there are more behind them."""

    after: Place
    to: Place
    rows: list[dict[str, Any]]
    full: bool


def prepare(session: Session, now: datetime) -> Prepared | None:
    """The next events for endpoints; None when there are none.  Writes nothing."""
    after = reading.at(session, READER)
    events = reading.following(session, after, EVENTS)
    if not events:
        return None
    wanting = _wanting(session, {event.account_id for event in events})
    rows: list[dict[str, Any]] = []
    by_account: dict[int, list[Any]] = defaultdict(list)
    most = max(map(len, wanting.values()), default=1)
    taken = events[: max(1, ROWS // most)]
    for event in taken:
        if event.account_id in wanting:
            by_account[event.account_id].append(event)
    for account_id, theirs in by_account.items():
        rows += rendered(theirs, wanting[account_id], now)
    to = Place(taken[-1].xid, taken[-1].id)
    return Prepared(after, to, rows, len(taken) == EVENTS or len(taken) < len(events))


def write(session: Session, prepared: Prepared, now: datetime) -> bool:
    """False when another process was quicker, or has it in hand: then nothing is written."""
    if reading.place(session, READER) != prepared.after:
        return False
    add(session, prepared.rows)
    reading.move(session, READER, prepared.to, now)
    return True


def add(session: Session, rows: list[dict[str, Any]]) -> None:
    """To endpoints that are still there and open, which stay so until the end of the transaction;
    what an outbox has already stays as it is."""
    there = still_open(session, {row["endpoint_id"] for row in rows})
    kept = [row for row in rows if row["endpoint_id"] in there]
    if kept:
        connection = session.connection()
        connection.execute(_ADD[connection.dialect.name], kept)


def still_open(session: Session, numbers: set[int]) -> set[int]:
    """Of these endpoints; nobody disables or removes them meanwhile."""
    if not numbers:
        return set()
    query = select(Endpoint.id).where(Endpoint.id.in_(numbers), Endpoint.disabled_at.is_(None))
    locked = query.order_by(Endpoint.id).with_for_update(read=True, key_share=True)
    return set(session.scalars(locked))


def _wanting(session: Session, account_ids: set[int]) -> dict[int, list[Wanting]]:
    """By account, where its plan has webhooks."""
    query = (
        select(Endpoint, Plan.terms)
        .join(Account, Account.id == Endpoint.account_id)
        .join(Plan, Plan.id == Account.plan_id)
        .where(Endpoint.account_id.in_(account_ids), Endpoint.disabled_at.is_(None))
        .order_by(Endpoint.id)
    )
    found: dict[int, list[Wanting]] = defaultdict(list)
    for endpoint, terms in session.execute(query):
        if "webhooks" in terms_of(terms).features:
            found[endpoint.account_id].append(Wanting.of(endpoint))
    return dict(found)
