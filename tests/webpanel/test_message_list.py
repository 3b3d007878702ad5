"""Filters and pages of the message list."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from franking.db import Database
from tests.webpanel import seed as seeds
from webpanel.messages import views


@pytest.fixture(autouse=True)
def _many(seed: seeds.Seed, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ROWS", 3)
    with database.transaction() as session:
        for number in range(7):
            seeds.message(
                session, seed, f"Q{number}", subject=f"Old {number}", at=seeds.some_day(number)
            )


def _subjects(page: str) -> list[str]:
    return re.findall(r">(Old \d)</a>", page)


def test_pages_keep_the_filter(mine: FlaskClient) -> None:
    address: str | None = "/messages?status=queued&sender=hello@example.com"
    pages = []
    while address is not None:
        page = mine.get(address).text
        pages.append(_subjects(page))
        assert '<option selected value="queued">' in page
        assert 'value="hello@example.com"' in page
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(older[1]) if older else None
        assert address is None or "status=queued&sender=hello@example.com" in address
    assert pages == [["Old 6", "Old 5", "Old 4"], ["Old 3", "Old 2", "Old 1"], ["Old 0"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=Q3", ["Old 3"]),
        ("q=%20Q3%20", ["Old 3"]),
        ("q=Q3@example.com", ["Old 3"]),
        ("status=delivered", []),
        ("status=nonsense&q=Q1", ["Old 1"]),  # what cannot be used is not applied
        ("recipient=Anna@Example.org&q=Q2", ["Old 2"]),
        ("tag=spring", []),
        ("since=2099-01-05&until=2099-01-05", ["Old 6", "Old 5", "Old 4"]),
        ("until=2099-01-04", []),
        ("since=yesterday&q=Q1", ["Old 1"]),
        ("since=9999-12-31&until=9999-12-31&q=Q1", ["Old 1"]),
    ],
)
def test_filters(mine: FlaskClient, query: str, found: list[str]) -> None:
    answer = mine.get(f"/messages?{query}")
    assert answer.status_code == 200
    assert _subjects(answer.text) == found


def test_without_filters_nothing_is_wrong(mine: FlaskClient) -> None:
    for path in ("/messages", "/messages?q=Q1"):
        assert "is-invalid" not in mine.get(path).text


def test_nothing_found_says_so(mine: FlaskClient) -> None:
    assert "Nothing found" in mine.get("/messages?tag=none").text


@pytest.mark.parametrize("path", ["/messages?before=nonsense", "/messages?before=%C3%A4"])
def test_a_foreign_cursor_is_no_server_error(mine: FlaskClient, path: str) -> None:
    assert mine.get(path).status_code == 400


def test_filter_values_are_escaped(mine: FlaskClient) -> None:
    page = mine.get("/messages", query_string={"q": f'"{seeds.HOSTILE}', "tag": seeds.HOSTILE}).text
    assert seeds.HOSTILE not in page


@pytest.mark.parametrize("before", ["nonsense", "-1", "0", str(1 << 70)])
def test_refused_ignores_a_wrong_cursor(mine: FlaskClient, before: str) -> None:
    assert "evil.test" in mine.get(f"/refused?before={before}").text
