"""Writes what a batch of log lines means: money, events and the position, all or nothing.

Called inside one transaction by `service`, which commits; when it fails the batch is kept and
written again.  Everything is guarded (a reservation leaves `reserved` once, a recipient has one
end, a deferral is known by its time and delay), so replaying any part of a log changes nothing.
A handful of queries per batch, none per line; statements are built once, on bare tables, because
the ORM's share of the time was as large as the database's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    CursorResult,
    Row,
    Select,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from franking import log
from franking.mail import events, failures
from franking.mail.config import Suppressions
from franking.mail.events import Attempt, Written
from franking.mail.holding import drop_unpaid
from franking.mail.models import Event, LogPosition, MessageAlias, Recipient
from franking.mail.queue_actions import record_actions, record_notifications
from franking.mail.transitions import give_up, leave_hold
from franking.money import refunds, reservations, settling
from franking.money.models import Reservation
from franking.money.reservations import UNBOUND
from franking.money.settling import Settled, Settlement
from worker.maillog.follow import Position
from worker.maillog.gather import DELETED, PARKED, Changes, Sent
from worker.maillog.parse import resolve

_reservations, _recipients = Reservation.__table__.c, Recipient.__table__.c
_aliases = MessageAlias.__table__.c
_events, _POSITION = Event.__table__.c, cast(Table, LogPosition.__table__)
_THESE: BindParameter[list[str]] = bindparam("queue_ids", expanding=True)
_NODE: BindParameter[str] = bindparam("node")

_STATES = select(_reservations.queue_id, _reservations.state).where(
    _reservations.queue_id.in_(_THESE), _reservations.node == _NODE
)
_RECIPIENTS = select(_recipients.queue_id, _recipients.address).where(
    _recipients.queue_id.in_(_THESE), _recipients.node == _NODE
)
_FIRST = select(_aliases.queue_id, _aliases.first_queue_id).where(
    _aliases.queue_id.in_(_THESE), _aliases.node == _NODE, _aliases.first_node == _NODE
)
_DEFERRALS = select(_events.queue_id, _events.recipient, _events.at, _events.delay).where(
    _events.queue_id.in_(_THESE), _events.node == _NODE, _events.kind == "deferred"
)

DEFAULT = Suppressions()


def write(
    session: Session, node: str, changes: Changes, now: datetime, rules: Suppressions = DEFAULT
) -> dict[str, str]:
    """Returns mail that nobody paid: queue ID → user name of the client, for an alarm.

    `rules`: what suppresses a recipient.
    """
    changes = _under_first_names(session, node, changes)
    released = {action.queue_id for _, action in changes.actions if action.kind == "released"}
    leave_hold(session, node, {*released, *changes.removed}, now)  # the lock order
    steps = [(_attempts(session, node, sent), actions) for sent, actions in changes.steps()]
    settled = _settle(session, node, changes.evidence, now)
    written = []
    for attempts, actions in steps:
        written += events.record(session, node, attempts)
        record_actions(session, node, actions)
    if changes.expired:
        expired = changes.expired.items()
        written += events.record_expired(session, node, expired, changes.forced)
    if changes.removed:
        events.record_removed(session, node, changes.removed.items())
    record_notifications(session, node, changes.notices)
    failures.consider(session, node, written, rules, now)
    _book(session, node, settled, now, _refundable(written) | set(changes.expired))
    return {
        queue_id: username
        for queue_id, username in changes.active.items()
        if settled.before.get(queue_id, "voided") == "voided"
    }


def _under_first_names(session: Session, node: str, changes: Changes) -> Changes:
    """What was requeued so long ago that nobody has it in memory (`recent`) is known by now under
    the queue ID that it was accepted with.  Not the evidence: that is about queue files."""
    names = changes.named()
    known = {row[0]: row[1] for row in _about(session, _FIRST, node, names)}
    return changes.renamed(known) if known else changes


def _refundable(written: Iterable[Written]) -> set[str]:
    """The messages that may get money back for how these ended."""
    return {
        each.attempt.queue_id
        for each in written
        if each.attempt.kind == "bounced" and each.finding is not None and each.finding.ours
    }


def settle(
    session: Session, node: str, evidence: Mapping[str, tuple[Settled, str]], now: datetime
) -> dict[str, str]:
    """Settle what is still open, and mark as voided the messages whose money goes back.

    Returns the state that each of these reservations had before; there may be none.
    """
    settled = _settle(session, node, evidence, now)
    _book(session, node, settled, now)
    return settled.before


@dataclass(frozen=True)
class _Settled:
    """Everything but the money, which comes last: until the commit, whoever sends for one of
    these accounts then waits.

    `unpaid` waited for money, and are on their way all the same, because an operator has released
    them past us; or nobody knows whether they are.
    """

    before: dict[str, str]
    settlement: Settlement
    unpaid: dict[str, tuple[Settled, str]]


def _settle(
    session: Session, node: str, evidence: Mapping[str, tuple[Settled, str]], now: datetime
) -> _Settled:
    states = {row[0]: row[1] for row in _about(session, _STATES, node, evidence)}
    waiting = {q: evidence[q] for q, state in states.items() if state == "waiting"}
    still_open = {q: evidence[q] for q, state in states.items() if state == "reserved"}
    _drop_unpaid(session, node, waiting, now)
    give_up(session, node, [q for q, to in still_open.items() if to[0] == "voided"], now)
    settlement = settling.leave(session, node, still_open, now)
    voided = {q: evidence[q][1] for q in settlement.now("voided")}
    if voided:
        events.record_voided(session, node, voided, now)
    unpaid = {
        queue_id: why
        for queue_id, why in waiting.items()
        if why[0] != "voided" and why[1] not in {PARKED, DELETED}
    }
    for queue_id in sorted(unpaid):  # before the balances, as `holding.grant` does
        session.get(Reservation, (queue_id, node), with_for_update=True)
    return _Settled(states | dict.fromkeys(unpaid, "reserved"), settlement, unpaid)


def _book(
    session: Session, node: str, settled: _Settled, now: datetime, refundable: Collection[str] = ()
) -> None:
    """What was not paid is charged, below zero if need be; `refundable` may get a refund."""
    if refundable or settled.unpaid:  # several steps: all balances in one go, in their order
        refunds.lock(session, node, {*refundable, *settled.settlement.rows, *settled.unpaid})
    for queue_id in sorted(settled.unpaid):
        reservations.fund(session, node, queue_id, UNBOUND, now)
        if settled.unpaid[queue_id][0] == "captured":
            log.unpaid_released(queue_id)
    settling.settle(session, node, settled.unpaid, now)
    settling.book(session, settled.settlement, now)
    refunds.give_back(session, node, refundable, now)


def _drop_unpaid(
    session: Session, node: str, evidence: Mapping[str, tuple[Settled, str]], now: datetime
) -> None:
    """Of messages that wait for money: what was deleted, or never kept, has cost nothing."""
    dropped = {
        queue_id: why
        for queue_id, (state, why) in evidence.items()
        if state == "voided" or why == DELETED
    }
    drop_unpaid(session, node, dropped, now)


def _about(
    session: Session, statement: Select[*tuple[Any, ...]], node: str, queue_ids: Iterable[str]
) -> Sequence[Row[*tuple[Any, ...]]]:
    wanted = list(queue_ids)
    if not wanted:
        return []
    return session.execute(statement, {"queue_ids": wanted, "node": node}).all()


def _attempts(session: Session, node: str, sent: list[Sent]) -> list[Attempt]:
    """Of deliveries of our own messages (Postfix's bounces are not), to recipients they have."""
    known: dict[str, set[str]] = defaultdict(set)
    for queue_id, address in _about(session, _RECIPIENTS, node, {each.queue_id for each in sent}):
        known[queue_id].add(address)
    found = []
    for each in sent:
        if each.queue_id not in known:
            continue
        delivery = resolve(each.delivery, known[each.queue_id])
        if delivery is None:
            log.delivery_unmatched(each.queue_id, each.delivery.address)
        else:
            found.append(each.attempt(delivery.address))
    return _new(session, node, found)


def _new(session: Session, node: str, attempts: list[Attempt]) -> list[Attempt]:
    """Without deferrals that are written already; a second end is ignored by `events` itself."""
    deferred = {attempt.queue_id for attempt in attempts if attempt.kind == "deferred"}
    seen = {tuple(row) for row in _about(session, _DEFERRALS, node, deferred)}
    return [
        attempt
        for attempt in attempts
        if attempt.kind != "deferred"
        or (attempt.queue_id, attempt.recipient, attempt.at, attempt.delay) not in seen
    ]


def load_position(session: Session, node: str) -> LogPosition | None:
    return session.get(LogPosition, node)


def save_position(
    session: Session, node: str, position: Position, boot_id: str, now: datetime, *, gap: bool
) -> None:
    """`gap`: evidence of everything before `now` may be missing."""
    values: dict[str, Any] = {
        "inode": position.inode,
        "offset": position.offset,
        "head_sha256": position.head,
        "boot_id": boot_id,
        "read_at": now,
    }
    if gap:
        values["gap_until"] = now
    moved = update(_POSITION).where(_POSITION.c.node == node).values(values)
    if cast("CursorResult[Any]", session.execute(moved)).rowcount == 0:
        session.execute(insert(_POSITION).values(node=node, **values))
