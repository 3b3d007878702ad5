"""`/billing/usage`: what was used, by day, and by credential, domain or tag.

Charts are made here as plain numbers; the templates set them as SVG with classes and attributes
alone, because the content security policy allows no inline style.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounts import credentials
from franking.db import utcnow
from franking.money.statements import totals
from franking.money.statements.totals import Figures, Series, Usage
from webpanel.billing import words
from webpanel.billing.views import bp
from webpanel.database import reading

SPANS = (30, 90)  # days
MEASURES = {"cost": "Cost", "messages": "Messages"}
STEPS = (1, 2, 5)  # of the scale, times a power of ten
LINES = 4  # of the scale, at most


@dataclass(frozen=True)
class Bar:
    """One day; `height` is thousandths of the chart's."""

    day: date
    figures: Figures
    height: int


@dataclass(frozen=True)
class Chart:
    """`scale`: (value, its height in thousandths), from the bottom line up."""

    bars: tuple[Bar, ...]
    scale: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Row:
    """A series with its share of the whole in percent, and its days for a small chart."""

    series: Series
    share: int
    bars: tuple[Bar, ...]


@bp.get("/usage", endpoint="usage")
def index() -> ResponseReturnValue:
    account = current_user.account
    span = request.args.get("days", type=int)
    span = span if span in SPANS else SPANS[0]
    dimension = request.args.get("by", "credential")
    dimension = dimension if dimension in words.DIMENSIONS else "credential"
    measure = request.args.get("show", "cost")
    measure = measure if measure in MEASURES else "cost"
    today = utcnow().date()
    first = today - timedelta(days=span - 1)
    whole = totals.by_day(reading, account.id, first, today)
    used = totals.by_day(reading, account.id, first, today, dimension)
    return render_template(
        "billing/usage.html",
        chart=chart(whole, measure),
        rows=list(zip(rows(used, measure), _links(used), strict=True)),
        total=whole.total,
        span=span,
        spans=SPANS,
        dimension=dimension,
        dimensions=words.DIMENSIONS,
        measure=measure,
        measures=MEASURES,
        currency=account.plan.currency,
    )


def _links(used: Usage) -> Iterator[str | None]:
    """To the messages of each series; the list knows credentials and tags."""
    days: dict[str, Any] = {"since": used.days[0].isoformat(), "until": used.days[-1].isoformat()}
    known: dict[str | None, str] = {}
    if used.dimension == "credential":
        own = credentials.all_of(reading, current_user.account)
        known = {str(row.id): row.username for row in own}
    for series in used.series:
        if used.dimension == "tag" and series.value:
            yield url_for("messages.index", tag=series.value, **days)
        elif series.value in known:
            yield url_for("messages.index", credential=known[series.value], **days)
        else:
            yield None


def measured(figures: Figures, measure: str) -> int:
    """Never below zero: a refund may be of an earlier day's message."""
    return max(0, figures.cost if measure == "cost" else figures.messages)


def chart(usage: Usage, measure: str) -> Chart:
    days = usage.series[0].days
    scale = ticks(max(measured(figures, measure) for figures in days))
    top = scale[-1]
    return Chart(
        _bars(usage.days, days, measure, top), tuple((tick, 1000 * tick // top) for tick in scale)
    )


def rows(usage: Usage, measure: str) -> tuple[Row, ...]:
    """The small charts have one scale, so that they can be compared."""
    whole = measured(usage.total, measure)
    top = max((measured(f, measure) for s in usage.series for f in s.days), default=0) or 1
    return tuple(
        Row(
            series,
            round(100 * measured(series.total, measure) / whole) if whole else 0,
            _bars(usage.days, series.days, measure, top),
        )
        for series in usage.series
    )


def _bars(
    days: Sequence[date], figures: Sequence[Figures], measure: str, top: int
) -> tuple[Bar, ...]:
    return tuple(
        Bar(day, each, _height(measured(each, measure), top))
        for day, each in zip(days, figures, strict=True)
    )


def _height(value: int, top: int) -> int:
    """What is there at all is seen."""
    return max(1000 * value // top, 8) if value else 0


def ticks(most: int) -> list[int]:
    """0 and up to `LINES` round numbers above it, the last not below `most`."""
    sizes = (each * 10**power for power in itertools.count() for each in STEPS)
    step = next(size for size in sizes if size * LINES >= most)
    count = max(1, -(-most // step))
    return [step * number for number in range(count + 1)]
