"""Puts addresses on the suppression list for what was said about them after acceptance.

A recipient that does not exist is left out from then on, for all the account's mail; one that
fails in a way that may pass, only when it does so on several messages, and for a time; who has
complained or unsubscribed gets no more of that stream.  `franking.mail.config.Suppressions` says
how long, `franking.mail.bounce_classes` which failures: a refusal of our own address, of the
sender or of the content says nothing about the recipient.

A report that came by mail (`late`) proves only that its writer has seen the message.  Of one that
went to several recipients each of them may have written it, about any other: such a report
suppresses nobody at once, and such a complaint nobody at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import bindparam, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.mail import suppressions
from franking.mail.bounce_classes import CATEGORIES, Suppress
from franking.mail.config import Suppressions
from franking.mail.models import Event, Message, SoftFailure
from franking.mail.suppressions import normal


@dataclass(frozen=True)
class Failure:
    """What an event says of one recipient of one message.

    `category` names one of `bounce_classes.CATEGORIES`; `heuristic`: guessed from free text.
    """

    account_id: int
    address: str
    queue_id: str
    node: str
    event_id: int | None
    kind: Literal["bounced", "expired", "complained", "unsubscribed"]
    category: str | None = None
    stream: str = "default"
    late: bool = False
    heuristic: bool = False

    @property
    def message(self) -> tuple[str, str]:
        return self.queue_id, self.node

    @property
    def whose(self) -> tuple[int, str]:
        return self.account_id, self.address


_messages, _events = Message.__table__.c, Event.__table__.c
_soft = SoftFailure.__table__.c
_MESSAGES = select(
    _messages.queue_id, _messages.node, _messages.recipient_count, _messages.mode
).where(tuple_(_messages.queue_id, _messages.node).in_(bindparam("messages", expanding=True)))
_DEFERRED = (
    select(_events.queue_id, _events.node, _events.recipient)
    .distinct()
    .where(
        tuple_(_events.queue_id, _events.node).in_(bindparam("messages", expanding=True)),
        _events.kind == "deferred",
        _events.category.in_(name for name, each in CATEGORIES.items() if each.suppress != "never"),
    )
)
_WHOSE = tuple_(_soft.account_id, _soft.address).in_(bindparam("whose", expanding=True))
_OFTEN = (
    select(_soft.account_id, _soft.address)
    .where(_WHOSE, _soft.at > bindparam("since"))
    .group_by(_soft.account_id, _soft.address)
    .having(func.count() >= bindparam("often"))
)
_START_AGAIN = delete(SoftFailure.__table__).where(_WHOSE)  # type: ignore[arg-type]
_REMEMBER: dict[str, Any] = {
    "sqlite": sqlite.insert(SoftFailure).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(SoftFailure).on_conflict_do_nothing(),
}


def consider(
    session: Session, failures: Sequence[Failure], rules: Suppressions, now: datetime
) -> int:
    """Suppress whom these say not to write to any more; returns how many entries that has changed.

    In the transaction that writes the events, after them and before any balance.
    """
    known = [replace(each, address=normal(each.address)) for each in failures if not each.heuristic]
    if not known:
        return 0
    sorted_out = list(zip(known, _verdicts(session, known), strict=True))
    entries = {
        _key(failure): _entry(failure, rules, now)
        for failure, verdict in sorted_out
        if verdict == "at once"
    }
    repeating = [failure for failure, verdict in sorted_out if verdict == "repeated"]
    for failure in _too_often(session, repeating, rules, now):
        entries.setdefault(_key(failure), _entry(failure, rules, now, reason="soft_bounce"))
    if not entries:
        return 0
    changed = suppressions.put(session, entries.values(), now)
    # When that is over, they begin at nought.
    bounced = sorted({key[:2] for key in entries if key[2] == "account"})
    session.connection().execute(_START_AGAIN, {"whose": bounced})
    return changed


def _verdicts(session: Session, failures: Sequence[Failure]) -> list[Suppress]:
    """For each of them, in their order."""
    connection = session.connection()
    messages = {"messages": sorted({each.message for each in failures})}
    about = {(row[0], row[1]): row for row in connection.execute(_MESSAGES, messages)}
    expired = sorted({each.message for each in failures if each.kind == "expired"})
    full = set()
    if expired:
        rows = connection.execute(_DEFERRED, {"messages": expired})
        full = {(row[0], row[1], normal(row[2])) for row in rows}

    def verdict(failure: Failure) -> Suppress:
        _, _, recipients, mode = about.get(failure.message, (None, None, 1, "live"))
        if mode != "live":
            return "never"
        shared = failure.late and recipients > 1
        if failure.kind == "unsubscribed":
            return "at once"
        if failure.kind == "complained":
            return "never" if shared else "at once"
        if failure.kind == "expired":
            return "repeated" if (*failure.message, failure.address) in full else "never"
        said = CATEGORIES[failure.category].suppress if failure.category else "never"
        return "repeated" if shared and said == "at once" else said

    return [verdict(each) for each in failures]


def _too_often(
    session: Session, failures: Iterable[Failure], rules: Suppressions, now: datetime
) -> list[Failure]:
    """Remember these, and return those whose addresses have now failed on several messages.

    Two nodes at the same moment may each miss the other's; whichever comes next counts them all.
    """
    remembered = {(*each.whose, *each.message): each for each in failures}
    if not remembered:
        return []
    connection = session.connection()
    names = ("account_id", "address", "queue_id", "node")
    rows = [dict(zip(names, key, strict=True)) | {"at": now} for key in sorted(remembered)]
    connection.execute(_REMEMBER[connection.dialect.name], rows)
    window = {
        "whose": sorted({each.whose for each in remembered.values()}),
        "since": now - timedelta(days=rules.soft_window_days),
        "often": rules.soft_failures,
    }
    often = {(row[0], row[1]) for row in connection.execute(_OFTEN, window)}
    return [each for each in remembered.values() if each.whose in often]


def _key(failure: Failure) -> tuple[int, str, str, str]:
    if failure.kind in ("complained", "unsubscribed"):
        return *failure.whose, "stream", failure.stream.lower()
    return *failure.whose, "account", ""


def _entry(
    failure: Failure, rules: Suppressions, now: datetime, reason: str | None = None
) -> dict[str, Any]:
    """A row of the list; `reason` where it is not what the failure's kind says."""
    reason = reason or _REASONS[failure.kind]
    days = getattr(rules, _DAYS[reason])
    return dict(zip(suppressions.KEY, _key(failure), strict=True)) | {
        "reason": reason,
        "event_id": failure.event_id,
        "note": None,
        "created_at": now,
        "expires_at": now + timedelta(days=days) if days else None,
    }


_REASONS = {"bounced": "hard_bounce", "complained": "complaint", "unsubscribed": "unsubscribe"}
_DAYS = {
    "hard_bounce": "hard_days",
    "soft_bounce": "soft_days",
    "complaint": "complaint_days",
    "unsubscribe": "unsubscribe_days",
}
