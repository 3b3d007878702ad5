"""Usage: the numbers of the chart, the tables beside it, and what is said when there are none."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient

from franking.db import utcnow
from franking.money.statements.totals import Figures, Series, Usage
from tests.webpanel.seed import HOSTILE
from tests.webpanel.test_billing import text_of
from webpanel.billing import usage

DAY = date(2026, 3, 1)


def _usage(*amounts: int) -> Usage:
    days = tuple(Figures(1, 1, max(amount, 0), max(-amount, 0)) for amount in amounts)
    dates = tuple(DAY + timedelta(days=n) for n in range(len(days)))
    total = Figures(*map(sum, zip(*days, strict=True)))
    return Usage("account", dates, (Series("", "all", total, days),), total)


@pytest.mark.parametrize(
    ("most", "scale"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (9, [0, 5, 10]),
        (42, [0, 20, 40, 60]),
        (1_000_000, [0, 500_000, 1_000_000]),
    ],
)
def test_the_scale_has_round_numbers(most: int, scale: list[int]) -> None:
    assert usage.ticks(most) == scale


def test_every_scale_holds_its_values() -> None:
    for most in range(1, 5000, 7):
        scale = usage.ticks(most)
        assert scale[-1] >= most
        assert 2 <= len(scale) <= usage.LINES + 1


def test_bars_are_as_high_as_their_days() -> None:
    made = usage.chart(_usage(0, 250, 1_000, 1), "cost")
    assert [bar.height for bar in made.bars] == [0, 250, 1000, 8]  # the last is seen all the same
    assert made.scale == ((0, 0), (500, 500), (1000, 1000))
    assert [bar.day for bar in made.bars][-1] == DAY + timedelta(days=3)


def test_refunds_do_not_go_below_the_line() -> None:
    assert [bar.height for bar in usage.chart(_usage(-50, 100), "cost").bars] == [0, 1000]


def test_shares_are_of_the_whole() -> None:
    (row,) = usage.rows(_usage(30, 70), "cost")
    assert (row.share, [bar.height for bar in row.bars]) == (100, [428, 1000])
    assert usage.rows(_usage(0), "cost")[0].share == 0


def test_every_day_is_in_chart_and_table(mine: FlaskClient) -> None:
    today = utcnow().date()
    for span in (30, 90):
        page = mine.get(f"/billing/usage?days={span}").text
        assert page.count('class="day"') == span
        assert f">{today - timedelta(days=span - 1)}</a>" in page
        assert f'href="/messages?since={today}&amp;until={today}"' in page
        assert 'role="img" aria-labelledby="chart-title chart-text"' in page


def test_by_credential_domain_and_tag(mine: FlaskClient) -> None:
    found = text_of(mine.get("/billing/usage").text)
    assert f"shop {HOSTILE} 1 2 0.0008 EUR 100 %" in found
    assert "example.com 1 2 0.0008 EUR" in text_of(mine.get("/billing/usage?by=domain").text)
    page = mine.get("/billing/usage?by=tag&show=messages").text
    assert re.search(
        r'href="/messages\?tag=spring&amp;since=[\d-]+&amp;until=[\d-]+">spring<', page
    )
    assert html.escape(HOSTILE) in page


def test_what_cannot_be_used_is_not_applied(mine: FlaskClient) -> None:
    for query in ("by=nonsense", "days=7", "days=x", "show=account"):
        page = mine.get(f"/billing/usage?{query}").text
        assert "By credential" in page, query
        assert page.count('class="day"') == 30, query


def test_nothing_sent_says_what_to_do(theirs: FlaskClient) -> None:
    page = theirs.get("/billing/usage").text
    assert "Nothing was sent in the last 30 days" in page
    assert 'href="/credentials"' in page
    assert '<svg class="chart"' not in page
