"""Adds captured messages, and refunds, to the daily totals: `usage_day` and `charge_day`.

In the transaction that books the money, so that each counts exactly once: a reservation leaves
`reserved` once, a refund has one reference.  Lock order: behind the account's balance, which every
caller has moved already; the rows in the order of their keys.

A day keeps at most `MOST_TAGS` tags of an account apart, because a tag may be different on every
message; the others are counted together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.mail.models import Message
from franking.money.models import Reservation
from franking.money.statements.models import ChargeDay, UsageDay

MOST_TAGS = 200
TOGETHER = ""  # the value of all other tags

Sums = defaultdict[tuple[Any, ...], list[int]]
Tags = tuple[int, date, str]  # account, day, tag


def _adding(table: Any) -> dict[str, Any]:
    """INSERT rows, or add to those that are there; a key's columns and then what is summed."""
    statements = {}
    for module in (sqlite, postgresql):
        plain = module.insert(table)
        statements[module.__name__.rpartition(".")[2]] = plain.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={
                column.name: column + plain.excluded[column.name]
                for column in table.c
                if not column.primary_key
            },
        )
    return statements


# Built once: the worker executes them with every batch of log lines.
_ADD_USAGE, _ADD_CHARGES = _adding(UsageDay.__table__), _adding(ChargeDay.__table__)
_USAGE_COLUMNS = tuple(UsageDay.__table__.c.keys())
_CHARGE_COLUMNS = tuple(ChargeDay.__table__.c.keys())
_ROWS = (
    select(
        Reservation.queue_id, Reservation.account_id, Reservation.amount, Reservation.units,
        Reservation.tier, Reservation.unit_price, Reservation.parts,
        Message.credential_id, Message.domain_id, Message.recipient_count, Message.tags,
        Message.accepted_at,
    )
    .outerjoin(
        Message,
        (Message.queue_id == Reservation.queue_id) & (Message.node == Reservation.node),
    )
    .where(
        Reservation.queue_id.in_(bindparam("queue_ids", expanding=True)),
        Reservation.node == bindparam("node"),
    )
)  # fmt: skip
_OF_TAGS = (
    UsageDay.account_id.in_(bindparam("account_ids", expanding=True)),
    UsageDay.dimension == "tag",
    UsageDay.day.in_(bindparam("days", expanding=True)),
)
_HOW_MANY = (
    select(UsageDay.account_id, UsageDay.day, func.count())
    .where(*_OF_TAGS)
    .group_by(UsageDay.account_id, UsageDay.day)
)
_WHICH = select(UsageDay.account_id, UsageDay.day, UsageDay.value).where(
    *_OF_TAGS, UsageDay.value.in_(bindparam("tags", expanding=True))
)


def record(session: Session, node: str, queue_ids: Collection[str], now: datetime) -> None:
    """These have just been captured, with this `now`."""
    rows = _load(session, node, queue_ids)
    usage, charges = _sums(), _sums()
    apart = _apart(session, rows)
    for row in rows:
        for key in _usage_keys(row, apart):
            _add(usage[key], (1, row.recipient_count, row.amount, 0))
        parts = row.parts or [[row.units, row.tier, row.unit_price]]
        for number, (units, tier, price) in enumerate(parts):
            key = (row.account_id, now.date(), tier, price)
            _add(charges[key], (0 if number else 1, units, units * price, 0))
    _write(session, usage, charges)


def refunded(session: Session, node: str, amounts: Mapping[str, int], now: datetime) -> None:
    """So much was just given back for these messages, queue ID → micro-units, with this `now`."""
    rows = _load(session, node, amounts)
    usage, charges = _sums(), _sums()
    apart = _apart(session, rows)
    for row in rows:
        back = (0, 0, 0, amounts[row.queue_id])
        for key in _usage_keys(row, apart):
            _add(usage[key], back)
        _add(charges[row.account_id, now.date(), row.tier, row.unit_price], back)
    _write(session, usage, charges)


def _load(session: Session, node: str, queue_ids: Iterable[str]) -> list[Any]:
    wanted = sorted(queue_ids)
    if not wanted:
        return []
    return list(session.execute(_ROWS, {"queue_ids": wanted, "node": node}))


def _sums() -> Sums:
    return defaultdict(lambda: [0, 0, 0, 0])


def _add(sums: list[int], amounts: Iterable[int]) -> None:
    for index, amount in enumerate(amounts):
        sums[index] += amount


def _usage_keys(row: Any, apart: set[Tags]) -> Iterator[tuple[Any, ...]]:
    """What one message counts under: account, dimension, day, value.

    None for money that was set aside for a message that was never stored.
    """
    if row.accepted_at is None:
        return
    account_id, day = row.account_id, row.accepted_at.date()
    yield account_id, "account", day, ""
    yield account_id, "credential", day, str(row.credential_id)
    yield account_id, "domain", day, str(row.domain_id)
    for tag in {tag if (account_id, day, tag) in apart else TOGETHER for tag in row.tags}:
        yield account_id, "tag", day, tag


def _apart(session: Session, rows: Iterable[Any]) -> set[Tags]:
    """The tags of these messages that have, or may have, a row of their own."""
    wanted = {
        (row.account_id, row.accepted_at.date(), tag) for row in rows for tag in row.tags or ()
    }
    if not wanted:
        return set()
    asked = {
        "account_ids": sorted({account_id for account_id, _, _ in wanted}),
        "days": sorted({day for _, day, _ in wanted}),
    }
    room: defaultdict[tuple[int, date], int] = defaultdict(lambda: MOST_TAGS)
    for account_id, day, count in session.execute(_HOW_MANY, asked):
        room[account_id, day] -= count
    tags = {"tags": sorted({tag for _, _, tag in wanted})}
    known = {tuple(row) for row in session.execute(_WHICH, asked | tags)}
    apart = wanted & known
    for account_id, day, tag in sorted(wanted - known):
        if room[account_id, day] > 0:
            room[account_id, day] -= 1
            apart.add((account_id, day, tag))
    return apart


def _write(session: Session, usage: Sums, charges: Sums) -> None:
    connection = session.connection()
    engine = connection.dialect.name
    for names, statements, sums in (
        (_CHARGE_COLUMNS, _ADD_CHARGES, charges),
        (_USAGE_COLUMNS, _ADD_USAGE, usage),
    ):
        if sums:
            rows = [
                dict(zip(names, (*key, *values), strict=True))
                for key, values in sorted(sums.items())
            ]
            connection.execute(statements[engine], rows)
