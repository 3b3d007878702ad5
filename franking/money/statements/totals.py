"""What an account used, day by day: for charts and tables.

Days are UTC and those on which messages were accepted.  A message with several tags counts under
each of them, so the values of that dimension add up to more than the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking.accounts.models import Credential
from franking.domains.models import Domain
from franking.money.statements.models import DIMENSIONS, UsageDay
from franking.money.statements.usage import TOGETHER
from franking.reasons import Invalid

MOST_DAYS = 366


class Figures(NamedTuple):
    """Amounts in micro-units."""

    messages: int = 0
    recipients: int = 0
    amount: int = 0
    refunded: int = 0

    @property
    def cost(self) -> int:
        """What was charged and not given back."""
        return self.amount - self.refunded

    def plus(self, other: Figures) -> Figures:
        return Figures(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: Figures) -> Figures:
        return Figures(*(a - b for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Series:
    """One credential, domain or tag; `value` is None for all others together.

    `days` are in the order of `Usage.days`.
    """

    value: str | None
    name: str
    total: Figures
    days: tuple[Figures, ...]


@dataclass(frozen=True)
class Usage:
    """The dearest series first, all others last; `total` is the account's, each message once."""

    dimension: str
    days: tuple[date, ...]
    series: tuple[Series, ...]
    total: Figures


def by_day(
    session: Session,
    account_id: int,
    first: date,
    last: date,
    dimension: str = "account",
    *,
    top: int = 9,
) -> Usage:
    """Both days included; raises Invalid for an unknown dimension or too long a time."""
    if dimension not in DIMENSIONS:
        raise Invalid.of("dimension", f"{dimension!r} is none of {', '.join(DIMENSIONS)}")
    if not 0 <= (last - first).days < MOST_DAYS:
        raise Invalid.of(
            "first", f"the first of at most {MOST_DAYS} days must not be after the last"
        )
    days = tuple(first + timedelta(days=n) for n in range((last - first).days + 1))
    whole = _days(session, account_id, "account", days)
    if dimension == "account":
        series = [_series("", "all messages", whole, days)]
    else:
        series = _dearest(session, account_id, dimension, days, top)
    return Usage(dimension, days, tuple(series), _sum(whole.values()))


def recent(session: Session, account_id: int, today: date, days: int = 7) -> Figures:
    """Of the whole `days` before `today`."""
    past = tuple(today - timedelta(days=n) for n in range(days, 0, -1))
    return _sum(_days(session, account_id, "account", past).values())


_SUMS = (
    func.sum(UsageDay.messages), func.sum(UsageDay.recipients), func.sum(UsageDay.amount),
    func.sum(UsageDay.refunded),
)  # fmt: skip
_COST = func.sum(UsageDay.amount - UsageDay.refunded)


def _between(account_id: int, dimension: str, days: tuple[date, ...]) -> tuple[Any, ...]:
    return (
        UsageDay.account_id == account_id,
        UsageDay.dimension == dimension,
        UsageDay.day.between(days[0], days[-1]),
    )


def _figures(sums: Iterable[Any]) -> Figures:
    return Figures(*(int(amount) for amount in sums))  # PostgreSQL sums BIGINT to NUMERIC


def _days(
    session: Session, account_id: int, dimension: str, days: tuple[date, ...]
) -> dict[date, Figures]:
    """Each day's figures, of all values together."""
    query = select(UsageDay.day, *_SUMS).where(*_between(account_id, dimension, days))
    return {row[0]: _figures(row[1:]) for row in session.execute(query.group_by(UsageDay.day))}


def _dearest(
    session: Session, account_id: int, dimension: str, days: tuple[date, ...], top: int
) -> list[Series]:
    here = _between(account_id, dimension, days)
    query = select(UsageDay.value).where(*here).group_by(UsageDay.value)
    order = (_COST.desc(), func.sum(UsageDay.messages).desc(), UsageDay.value)
    values = session.scalars(query.order_by(*order).limit(top + 1)).all()
    chosen = [value for value in values if value != TOGETHER][:top]
    found: dict[str, dict[date, Figures]] = {value: {} for value in chosen}
    columns = (UsageDay.messages, UsageDay.recipients, UsageDay.amount, UsageDay.refunded)
    query_days = select(UsageDay.value, UsageDay.day, *columns)
    for row in session.execute(query_days.where(*here, UsageDay.value.in_(chosen))):
        found[row[0]][row[1]] = _figures(row[2:])
    names = _names(session, account_id, dimension, chosen)
    series = [_series(value, names[value], found[value], days) for value in chosen]
    if len(values) > len(chosen):
        series.append(_others(_days(session, account_id, dimension, days), series, days))
    return series


def _others(whole: dict[date, Figures], shown: list[Series], days: tuple[date, ...]) -> Series:
    rest = {}
    for index, day in enumerate(days):
        left = whole.get(day, Figures())
        for series in shown:
            left = left.minus(series.days[index])
        rest[day] = left
    return _series(None, "all others", rest, days)


def _series(
    value: str | None, name: str, figures: dict[date, Figures], days: tuple[date, ...]
) -> Series:
    each = tuple(figures.get(day, Figures()) for day in days)
    return Series(value, name, _sum(each), each)


def _sum(figures: Iterable[Figures]) -> Figures:
    total = Figures()
    for each in figures:
        total = total.plus(each)
    return total


def _names(
    session: Session, account_id: int, dimension: str, values: Collection[str]
) -> dict[str, str]:
    """What people call these; `#17` for what is gone."""
    if dimension == "tag":
        return {value: value for value in values}
    table: Any = Credential if dimension == "credential" else Domain
    query = select(table.id, table.name).where(
        table.account_id == account_id, table.id.in_([int(value) for value in values])
    )
    known = {str(row[0]): str(row[1]) for row in session.execute(query)}
    return {value: known.get(value, f"#{value}") for value in values}
