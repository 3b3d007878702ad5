"""How much may be sent: counters of calendar windows, shared by all nodes.

A window is a calendar second, minute, hour, day or month in UTC; what is counted together has one
row per window (`RateCounter`).  `count` adds a message to all its windows or to none, each by one
conditional upsert, in the transaction that accepts the message: what is refused is not counted,
a limit is exact on one node and on many, and no process has a share of its own.  `count` returns
what it raised, stored with the message, so that `give_back` can lower just that when Postfix did
not keep the message, whatever the rules are by then.

A test credential's mail is counted apart: who tries out the limits does not use up the real ones.

Windows that count the same thing over the same time share a counter; the least of them is the
limit.  When several are exceeded, what happens is the most severe of reject, defer, hold: a hold
must not let in what another limit refuses.  Among equals the window that opens last answers, so
that the time in the reply is not a promise that another limit breaks.  More recipients than a
window's `most` can never pass, so such a message is rejected whatever the window says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.accounts import networks
from franking.accounts.models import RateCounter
from franking.accounts.rules import Excess, Unit, Window
from franking.mail import replies
from franking.mail.replies import Reply
from franking.reasons import Refused

UNITS: tuple[Unit, ...] = ("second", "minute", "hour", "day", "month")
_SEVERITY: tuple[Excess, ...] = ("hold", "defer", "reject")
_LENGTHS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_NEVER_FITS = "{}, the message has {}"


@dataclass(frozen=True)
class Subject:
    """Who sends; `test`: with a test credential."""

    account_id: int
    credential_id: int
    client_ip: str | None
    test: bool = False


class Exceeded(Refused):
    """`window` has no room; it opens again in `seconds`.

    `recipients` is set when the message has more of them than the window ever takes.
    """

    def __init__(self, window: Window, seconds: int, recipients: int | None = None) -> None:
        super().__init__(f"limit of {described(window)} exceeded")
        self.window = window
        self.seconds = seconds
        self.recipients = recipients

    @property
    def on_excess(self) -> Excess:
        """What happens to the message."""
        return self.window.on_excess if self.recipients is None else "reject"


# Built once: on the way of every message of an account that has windows.
_TABLE = RateCounter.__table__
_counters = _TABLE.c
_KEY = (_counters.subject, _counters.unit, _counters.starts_at)
_ROW: dict[str, Any] = {
    "subject": bindparam("b_subject"),
    "unit": bindparam("b_unit"),
    "starts_at": bindparam("b_starts_at"),
    "used": bindparam("b_n"),
}
_GROWN: ColumnElement[int] = _counters.used + bindparam("b_n")
_FITS = bindparam("b_most") >= _GROWN
# RETURNING, because SQLAlchemy knows no row count of an INSERT on PostgreSQL.
_COUNT: dict[str, Any] = {
    "sqlite": sqlite.insert(RateCounter)
    .values(_ROW)
    .on_conflict_do_update(index_elements=_KEY, set_={"used": _GROWN}, where=_FITS)
    .returning(_counters.used),
    "postgresql": postgresql.insert(RateCounter)
    .values(_ROW)
    .on_conflict_do_update(index_elements=_KEY, set_={"used": _GROWN}, where=_FITS)
    .returning(_counters.used),
}
_TAKE_BACK = (
    update(_TABLE)  # type: ignore[arg-type]
    .where(*(column == bindparam(f"b_{column.name}") for column in _KEY))
    .values(
        used=case((_counters.used > bindparam("b_n"), _counters.used - bindparam("b_n")), else_=0)
    )
)
# A row value with IN would be a full scan on SQLite.  This finds too many, but through the key.
_USED = select(*_KEY, _counters.used).where(
    *(column.in_(bindparam(f"b_{column.name}", expanding=True)) for column in _KEY)
)

Key = tuple[str, str, datetime]  # subject, unit, start
Counted = list[tuple[str, str, str, int]]  # subject, unit, start (ISO 8601), by how much: for JSON


def start_of(unit: Unit, now: datetime) -> datetime:
    """When the calendar window that holds `now` (UTC) began."""
    if unit == "month":
        return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if unit == "day":
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "hour":
        return now.replace(minute=0, second=0, microsecond=0)
    return now.replace(microsecond=0) if unit == "second" else now.replace(second=0, microsecond=0)


def end_of(unit: Unit, now: datetime) -> datetime:
    """When the next one begins."""
    start = start_of(unit, now)
    if unit == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + _LENGTHS[unit]


def closed(window: Window, now: datetime) -> Exceeded:
    """That this window has no room until the next one opens."""
    return Exceeded(window, math.ceil((end_of(window.per, now) - now).total_seconds()))


def count(
    session: Session, windows: Iterable[Window], subject: Subject, recipients: int, now: datetime
) -> Counted:
    """Count one message with this many recipients in all its windows, or in none: Exceeded.

    Returns what `give_back` needs.  For a writing transaction.  The counters are taken in one
    order, so that two cannot deadlock.
    """
    wanted = list(windows)
    _never_fits(wanted, recipients, now)
    connection = session.connection()
    statement = _COUNT[connection.dialect.name]
    counted: list[dict[str, Any]] = []
    for key, alike in sorted(_by_counter(wanted, subject, now).items()):
        values = _key_values(key) | {"b_n": _amount(alike[0], recipients)}
        most = min(window.most for window in alike)
        if connection.execute(statement, values | {"b_most": most}).first() is None:
            if counted:
                connection.execute(_TAKE_BACK, counted)
            # On PostgreSQL another may have given back what was full a moment ago.
            least = min(alike, key=lambda window: window.most)
            raise _worst(_found(session, wanted, subject, recipients, now)) or closed(least, now)
        counted.append(values)
    return [
        (row["b_subject"], row["b_unit"], row["b_starts_at"].isoformat(), row["b_n"])
        for row in counted
    ]


def give_back(session: Session, messages: Iterable[Counted]) -> None:
    """Lower what was raised for these messages; to be called once for each.

    Takes the counters in the order in which `count` does.  Those already purged stay away.
    """
    back: Counter[Key] = Counter()
    for counted in messages:
        for subject, unit, start, amount in counted:
            back[subject, unit, datetime.fromisoformat(start)] += amount
    if back:
        rows = [_key_values(key) | {"b_n": amount} for key, amount in sorted(back.items())]
        session.connection().execute(_TAKE_BACK, rows)


def exceeded(
    session: Session,
    windows: Iterable[Window],
    subject: Subject,
    now: datetime,
    recipients: int = 1,
    *,
    holds: bool = False,
) -> Exceeded | None:
    """Why `count` would refuse such a message now, None when it would not; counts nothing.

    Windows that hold refuse nothing; `holds` asks for them too.
    """
    wanted = list(windows)
    try:
        _never_fits(wanted, recipients, now)
    except Exceeded as never:
        return never
    asked = [window for window in wanted if holds or window.on_excess != "hold"]
    return _worst(_found(session, asked, subject, recipients, now))


def reply(exceeded: Exceeded) -> Reply:
    """What the client is told.  Not for a message that is held."""
    window, text = exceeded.window, described(exceeded.window)
    if exceeded.recipients is not None:
        return replies.limit_too_small(_NEVER_FITS.format(text, exceeded.recipients))
    if window.quota and exceeded.on_excess != "reject":
        return replies.quota_exceeded(window.most, exceeded.seconds)
    permanent = exceeded.on_excess == "reject"
    return replies.rate_limited(text, exceeded.seconds, permanent=permanent)


def described(window: Window) -> str:
    """`100 messages per minute`, and whose when it is not the account's."""
    whose = {"account": "", "credential": " for this API key", "address": " for your address"}
    return f"{window.most} {window.counts} per {window.per}{whose[window.by]}"


def _never_fits(windows: Sequence[Window], recipients: int, now: datetime) -> None:
    for window in windows:
        if _amount(window, recipients) > window.most:
            raise Exceeded(window, closed(window, now).seconds, recipients)


def _found(
    session: Session, windows: Sequence[Window], subject: Subject, recipients: int, now: datetime
) -> list[Exceeded]:
    """All windows that have no room."""
    counters = _by_counter(windows, subject, now)
    if not counters:
        return []
    asked = {
        name: sorted({values[name] for values in map(_key_values, counters)})
        for name in ("b_subject", "b_unit", "b_starts_at")
    }
    rows = session.connection().execute(_USED, asked)
    used: dict[Key, int] = {(row[0], row[1], row[2]): row[3] for row in rows}
    return [
        closed(window, now)
        for key, alike in counters.items()
        for window in alike
        if used.get(key, 0) + _amount(window, recipients) > window.most
    ]


def _worst(found: Sequence[Exceeded]) -> Exceeded | None:
    return max(found, key=lambda e: (_SEVERITY.index(e.on_excess), e.seconds), default=None)


def _by_counter(
    windows: Iterable[Window], subject: Subject, now: datetime
) -> dict[Key, list[Window]]:
    counters: dict[Key, list[Window]] = {}
    for window in windows:
        key = (_counted_as(window, subject), window.per, start_of(window.per, now))
        counters.setdefault(key, []).append(window)
    return counters


def _counted_as(window: Window, subject: Subject) -> str:
    if window.by == "account":
        name = f"account:{subject.account_id}"
    elif window.by == "credential":
        name = f"credential:{subject.credential_id}"
    else:
        name = f"address:{subject.account_id}:{networks.source(subject.client_ip) or 'unknown'}"
    name = f"test:{name}" if subject.test else name
    return f"{name}/recipients" if window.counts == "recipients" else name


def _amount(window: Window, recipients: int) -> int:
    return recipients if window.counts == "recipients" else 1


def _key_values(key: Key) -> dict[str, Any]:
    return {"b_subject": key[0], "b_unit": key[1], "b_starts_at": key[2]}
