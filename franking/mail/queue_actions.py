"""What was done to a whole message in Postfix's queue, as the mail log tells it: by an operator
with postsuper(1), and bounce(8)'s notifications to the sender.

One event for the message, without a recipient.  Log lines have no fractions of a second and may be
read again, so an action is new unless the message has this event from this very second, or one that
is clearly later; and holding and releasing must fit the message's state, because what we hold and
release ourselves has been recorded by whoever did it (`franking.mail.transitions`).
`held_message` comes first (`transitions.leave_hold`), as always.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.mail.events import OPERATOR
from franking.mail.models import Event, Message, MessageAlias
from franking.mail.states import RecipientState, State, load, store

SECOND = timedelta(seconds=1)

_INSERT = insert(Event.__table__)  # type: ignore[arg-type]
_ALIASES: dict[str, Any] = {
    "sqlite": sqlite.insert(MessageAlias).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(MessageAlias).on_conflict_do_nothing(),
}
_KNOWN = select(Event.queue_id, Event.kind, Event.at, Event.detail).where(
    Event.queue_id.in_(bindparam("queue_ids", expanding=True)),
    Event.node == bindparam("node"),
    Event.kind.in_(("held", "released", "requeued", "notified")),
    Event.recipient.is_(None),
)
_ENVELOPES = select(Message.queue_id, Message.envelope_sender, Message.return_path).where(
    Message.queue_id.in_(bindparam("queue_ids", expanding=True)), Message.node == bindparam("node")
)


class Action(NamedTuple):
    """By an operator; `requeued_as` is the new queue ID of what was requeued."""

    queue_id: str
    kind: Literal["held", "released", "requeued"]
    at: datetime
    requeued_as: str | None = None


class Notification(NamedTuple):
    """`kind` is Postfix's word, such as `sender non-delivery notification`; `notice_id` the queue
    ID of the mail, if Postfix could send it."""

    queue_id: str
    kind: str
    notice_id: str | None
    at: datetime


def record_actions(session: Session, node: str, actions: Sequence[Action]) -> int:
    """Hold, release or requeue these messages, in this order; returns how many were new."""
    if not actions:
        return 0
    states = load(session, node, {action.queue_id for action in actions})
    known = _known(session, node, states)
    rows = []
    for action in actions:
        state = states.get(action.queue_id)
        if state is None or not _is_new(action, known[action.queue_id]):
            continue
        if action.kind == "requeued" or _move(state, action.kind):
            rows.append(_row(node, state, action))
            known[action.queue_id].append((action.kind, action.at, rows[-1]["detail"]))
    if rows:
        session.connection().execute(_INSERT, rows)
        store(session, node, states)
        _name(session, node, states, actions)
    return len(rows)


def record_notifications(session: Session, node: str, notifications: Sequence[Notification]) -> int:
    """Bounces, delay warnings and the like that Postfix has sent; returns how many were new."""
    if not notifications:
        return 0
    states = load(session, node, {each.queue_id for each in notifications})
    known = _known(session, node, states)
    to = _senders(session, node, states)
    rows = []
    for each in notifications:
        state = states.get(each.queue_id)
        if state is None:
            continue
        detail = {"kind": each.kind, "notice_id": each.notice_id, "to": to[each.queue_id]}
        detail = {name: value for name, value in detail.items() if value}
        if detail not in [there for _, _, there in known[each.queue_id]]:
            known[each.queue_id].append(("notified", each.at, detail))
            rows.append(
                _event(node, state, each.queue_id, "notified", each.at) | {"detail": detail}
            )
    if rows:
        session.connection().execute(_INSERT, rows)
    return len(rows)


Known = Mapping[str, list[tuple[str, datetime, Mapping[str, Any]]]]


def _known(session: Session, node: str, queue_ids: Iterable[str]) -> Known:
    found: defaultdict[str, list[tuple[str, datetime, Mapping[str, Any]]]] = defaultdict(list)
    asked = {"queue_ids": sorted(queue_ids), "node": node}
    for queue_id, *said in session.connection().execute(_KNOWN, asked):
        found[queue_id].append(tuple(said))
    return found


def _senders(session: Session, node: str, queue_ids: Iterable[str]) -> dict[str, str]:
    asked = {"queue_ids": sorted(queue_ids), "node": node}
    rows = session.connection().execute(_ENVELOPES, asked)
    return {row.queue_id: row.return_path or row.envelope_sender for row in rows}


def _is_new(action: Action, known: list[tuple[str, datetime, Mapping[str, Any]]]) -> bool:
    if action.kind == "requeued":
        return all(detail.get("requeued_as") != action.requeued_as for _, _, detail in known)
    return not any(
        (kind == action.kind and at == action.at and _by_hand(detail)) or at >= action.at + SECOND
        for kind, at, detail in known
        if kind == "released" or (kind == "held" and _by_hand(detail))
    )


def _by_hand(detail: Mapping[str, Any]) -> bool:
    return bool(detail.get("by") == OPERATOR["by"])


def _move(state: State, kind: str) -> bool:
    """Whether the message was in a state that this leaves."""
    moving = [each for each in state.open if (each.status == "held") == (kind == "released")]
    for each in moving:
        each.move(_goes_on(each) if kind == "released" else "held")
    return bool(moving)


def _goes_on(recipient: RecipientState) -> str:
    return "deferred" if recipient.attempts else "queued"


def _row(node: str, state: State, action: Action) -> dict[str, Any]:
    detail = dict(OPERATOR)
    if action.requeued_as is not None:
        detail["requeued_as"] = action.requeued_as
    return _event(node, state, action.queue_id, action.kind, action.at) | {"detail": detail}


def _event(node: str, state: State, queue_id: str, kind: str, at: datetime) -> dict[str, Any]:
    return {
        "account_id": state.account_id,
        "credential_id": state.credential_id,
        "sender": state.sender,
        "node": node,
        "queue_id": queue_id,
        "kind": kind,
        "attempt": 0,
        "at": at,
    }


def _name(
    session: Session, node: str, states: Mapping[str, State], actions: Iterable[Action]
) -> None:
    """Under its new queue ID a message is found, too: in the panel, and when its lines come long
    after it was requeued."""
    rows = list(_aliases(node, states, actions))
    if rows:
        connection = session.connection()
        connection.execute(_ALIASES[connection.dialect.name], rows)


def _aliases(
    node: str, states: Mapping[str, State], actions: Iterable[Action]
) -> Iterator[dict[str, Any]]:
    for action in actions:
        if action.requeued_as is not None and action.queue_id in states:
            yield {
                "queue_id": action.requeued_as,
                "node": node,
                "account_id": states[action.queue_id].account_id,
                "first_queue_id": action.queue_id,
                "first_node": node,
                "at": action.at,
            }
