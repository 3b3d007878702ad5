"""The Refused tab: its filters, which are in the URL, and its pages."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from franking.db import Database
from franking.mail import events, replies
from franking.mail.replies import Reply
from tests.webpanel import seed as seeds
from webpanel.refused import views


@pytest.fixture(autouse=True)
def _many(seed: seeds.Seed, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven, of two kinds, to two recipients, besides the seeded one."""
    monkeypatch.setattr(views, "ROWS", 3)
    refused: list[tuple[Reply, str, int | None]] = [
        (replies.insufficient_balance(), "anna@example.org", None),
        (replies.relaying_denied(), "Bert@example.org", seed.credential.credential.id),
    ]
    with database.transaction() as session:
        for number in range(7):
            reply, recipient, credential_id = refused[number % 2]
            events.record_refusal(
                session, account_id=seed.account_id, credential_id=credential_id, node="n1",
                smtp_code=reply.code, enhanced_code=reply.enhanced, text=f"number {number}",
                key=reply.key, recipient=recipient, now=seeds.some_day(number // 2),
            )  # fmt: skip


def found(page: str) -> list[str]:
    return re.findall(r"number (\d)", page)


def test_pages_keep_the_filter(mine: FlaskClient) -> None:
    address: str | None = "/refused?reason=insufficient_balance&recipient=Anna@example.org"
    pages = []
    while address is not None:
        page = mine.get(address).text
        pages.append(found(page))
        assert 'value="Anna@example.org"' in page
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(older[1]) if older else None
    assert pages == [["6", "4", "2"], ["0"]]


def test_pages_of_all(mine: FlaskClient) -> None:
    seen, address = [], "/refused"
    for _ in range(3):
        page = mine.get(address).text
        seen += found(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(older[1]) if older else ""
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert not address and "evil.test" in page


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("reason=relaying_denied", ["5", "3", "1"]),
        ("recipient=%20bert@example.org%20", ["5", "3", "1"]),
        ("recipient=nobody@example.org", []),
        ("reason=nonsense&credential=nobody", ["6", "5", "4"]),  # what cannot be, is not applied
    ],
)
def test_filters(mine: FlaskClient, query: str, numbers: list[str]) -> None:
    assert found(mine.get(f"/refused?{query}").text) == numbers


def test_by_credential(mine: FlaskClient, seed: seeds.Seed) -> None:
    username = seed.credential.credential.username
    page = mine.get(f"/refused?credential={username}&reason=relaying_denied").text
    assert found(page) == ["5", "3", "1"]


def test_advice_stands_beside_each(mine: FlaskClient) -> None:
    page = mine.get("/refused?reason=insufficient_balance").text
    assert "Top up the account" in page
    assert "/e/insufficient_balance" in page


def test_another_account_sees_none_of_them(theirs: FlaskClient, seed: seeds.Seed) -> None:
    username = seed.credential.credential.username
    assert found(theirs.get(f"/refused?credential={username}").text) == []
    assert "Nothing was refused" in theirs.get("/refused").text
