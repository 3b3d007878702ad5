"""Calendar months in UTC, each known by its first day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from franking.reasons import Invalid


def following(period: date) -> date:
    """The next month."""
    return (period.replace(day=1) + timedelta(days=31)).replace(day=1)


def preceding(period: date) -> date:
    """The month before."""
    return (period.replace(day=1) - timedelta(days=1)).replace(day=1)


def start(period: date) -> datetime:
    """The instant at which it begins."""
    return datetime(period.year, period.month, 1, tzinfo=UTC)


def last_day(period: date) -> date:
    return following(period) - timedelta(days=1)


def parse(text: str) -> date:
    """`"2026-10"`; raises Invalid."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Invalid(f"{text!r} is not a month such as 2026-10") from error
