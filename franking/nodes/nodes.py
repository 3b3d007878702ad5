"""The relay nodes: which take new mail, and how each of them is doing.

A node refuses new transactions with `421 4.3.2` while an operator drains it, and, by itself, while
its queue or its load is above a threshold (`Overload`).  What it has accepted it goes on to
deliver.  Every node reports about itself; reading is for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.nodes.models import Node
from franking.reasons import NotFound
from franking.settings import Overload

RELIEF = 0.8  # of the threshold: an overload ends below it, so that a node does not flap

_nodes = Node.__table__.c
_REFUSES = select(_nodes.name).where(
    _nodes.name == bindparam("name"),
    or_(_nodes.state == "draining", _nodes.overload.is_not(None)),
)
_INSERT: dict[str, Any] = {
    "sqlite": sqlite.insert(Node).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(Node).on_conflict_do_nothing(),
}


@dataclass(frozen=True)
class Condition:
    """What a node measures of itself.

    `queued` counts all mail in its queue, `waiting` what could be delivered now (incoming and
    active), `oldest_seconds` is how long the oldest of that has been waiting, `load` is the
    1-minute load average per core.
    """

    queued: int
    waiting: int
    oldest_seconds: float
    load: float


def introduce(session: Session, name: str, now: datetime) -> None:
    """Make the node known; nothing when it is."""
    statement = _INSERT[session.connection().dialect.name]
    session.connection().execute(statement, {"name": name, "state": "active", "changed_at": now})


def get(session: Session, name: str) -> Node:
    """Raises NotFound for a name that no node has ever reported under."""
    node = session.get(Node, name, with_for_update=True)
    if node is None:
        raise NotFound(f"there is no node {name!r}")
    return node


def all_of(session: Session) -> Sequence[Node]:
    return session.scalars(select(Node).order_by(Node.name)).all()


def refuses(session: Session, name: str) -> bool:
    """Whether this node takes no new mail at present; for policyd, which asks once a second."""
    return session.execute(_REFUSES, {"name": name}).first() is not None


def drain(session: Session, name: str, reason: str | None, now: datetime) -> Node:
    """Take no new mail, until `resume`; what is queued is delivered.  Raises NotFound."""
    return _change(get(session, name), "draining", reason, now)


def resume(session: Session, name: str, now: datetime) -> Node:
    """Take mail again; an overload lasts as long as it lasts.  Raises NotFound."""
    return _change(get(session, name), "active", None, now)


def _change(node: Node, state: str, reason: str | None, now: datetime) -> Node:
    if node.state != state:
        node.changed_at = now
    node.state, node.reason = state, reason
    return node


def report(
    session: Session, name: str, condition: Condition, thresholds: Overload, now: datetime
) -> Node:
    """Write down how this node is doing, and whether that is too much for it."""
    introduce(session, name, now)
    node = get(session, name)
    node.queued = condition.queued
    node.oldest_seconds = condition.oldest_seconds
    node.load = condition.load
    node.reported_at = now
    node.overload = overload(condition, thresholds, already=node.overload is not None)
    return node


def overload(condition: Condition, thresholds: Overload, *, already: bool) -> str | None:
    """Each measure that is above its threshold, None when none is; a threshold of 0 is none."""
    scale = RELIEF if already else 1.0
    measures = [
        ("mail waits for {:.0f} s", condition.oldest_seconds, thresholds.queue_age),
        ("{:.0f} messages wait", condition.waiting, thresholds.queue_length),
        ("load per core is {:.1f}", condition.load, thresholds.load_per_core),
    ]
    above = [
        f"{text.format(value)} (limit {threshold:g})"
        for text, value, threshold in measures
        if threshold and value > threshold * scale
    ]
    return ", ".join(above)[:200] or None
