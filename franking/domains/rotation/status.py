"""What people are shown of a domain's keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from franking.domains import relayzone
from franking.domains.config import Dkim
from franking.domains.keys import keys_of
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record, dkim_value
from franking.domains.rotation import clocks, turns
from franking.domains.rotation.succession import key_record


@dataclass(frozen=True)
class KeyStatus:
    """`next_at`: when a pending key may sign, an active one is to be replaced (None: never), a
    retiring one is removed.  `waits_for`: what keeps a pending key from signing, a sentence.
    `target`: what the CNAME at the record's name leads to; None for a TXT record.
    """

    selector: str
    algorithm: str
    state: str
    method: str
    created_at: datetime
    activated_at: datetime | None
    seen_at: datetime | None
    next_at: datetime | None
    record: Record
    target: str | None = None
    waits_for: str | None = None


@dataclass(frozen=True)
class _View:
    """What is looked at, when, and with which settings."""

    session: Session
    domain: Domain
    now: datetime
    own: Dkim
    ttl: int


def status(
    session: Session, domain: Domain, now: datetime, own: Dkim, ttl: int = turns.TTL
) -> Sequence[KeyStatus]:
    """The signing keys first, then what comes, then what goes.  `ttl`: seconds, of customers'
    records (`dns.ttl`)."""
    order = ("active", "pending", "retiring")
    found = sorted(keys_of(session, domain), key=lambda key: order.index(key.state))
    view = _View(session, domain, now, own, ttl)
    return [_of(view, key) for key in found]


def _of(view: _View, key: DkimKey) -> KeyStatus:
    behind = relayzone.target(view.domain, key.selector, view.own.zone)
    return KeyStatus(
        selector=key.selector,
        algorithm=key.algorithm,
        state=key.state,
        method=key.method,
        created_at=key.created_at,
        activated_at=key.activated_at,
        seen_at=key.seen_at,
        next_at=_next_at(view, key),
        record=key_record(view.domain, key),
        target=behind if key.method == "cname" else None,
        waits_for=_waits_for(view, key) if key.state == "pending" else None,
    )


def _next_at(view: _View, key: DkimKey) -> datetime | None:
    if key.state == "retiring":
        return clocks.end_of(key, view.own)
    if key.state == "active":
        return turns.turn_of(key, view.own)
    return key.activate_at if key.seen_at is None else turns.ready_at(key, view.own, view.ttl)


def _waits_for(view: _View, key: DkimKey) -> str | None:
    name = key_record(view.domain, key).name
    if key.method == "cname":
        zone = view.own.zone
        entry = relayzone.entry_of(view.session, view.domain, key, zone)
        if entry is None or entry.published != dkim_value(key):
            why = f" ({entry.error})" if entry is not None and entry.error else ""
            return f"the server of {zone} has not been told yet{why}"
    if key.seen_at is None:
        return f"{name} is not seen by everybody yet"
    ready = turns.ready_at(key, view.own, view.ttl)
    return f"it signs from {ready:%Y-%m-%d %H:%MZ} on" if ready > view.now else None
