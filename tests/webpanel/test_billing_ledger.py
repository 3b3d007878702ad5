"""The ledger: lines with their balances, filters, pages, the CSV file."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from franking.db import Database, utcnow
from franking.money import ledger, ledger_pages
from franking.money.ledger_pages import Line
from tests.webpanel.seed import FEE, HOSTILE, QUEUE_ID, Seed
from tests.webpanel.test_billing import changing, text_of
from webpanel.billing import ledger as views


def _rows(answer_text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer_text)))


def test_lines_lead_to_what_they_are_about(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    with changing(database, seed) as (session, account):
        key = f"stripe/{seed.deposit}/1"
        ledger.deposit(session, account.id, 10_000_000, reference=key, note="payment")
    page = mine.get("/billing/ledger").text
    assert f'href="/messages/{QUEUE_ID}"' in page
    assert f'href="/payments/{seed.deposit}"' in page
    assert 'href="/billing/statements/' in page  # the fee's
    said = text_of(page)
    assert "+10.0000 EUR 10.9992 EUR" in said
    assert "-0.0008 EUR 0.9992 EUR" in said
    assert html.escape(HOSTILE) in page


def test_the_filter_by_kind_leaves_balances_out(mine: FlaskClient) -> None:
    page = mine.get("/billing/ledger?cause=fee").text
    assert "-4.90 EUR" in page
    assert QUEUE_ID not in page
    assert 'data-label="Balance after it"' not in page
    assert "so there is no balance in each line" in page
    assert "/billing/ledger.csv?cause=fee" in page


def test_what_cannot_be_used_is_not_applied(mine: FlaskClient) -> None:
    for query in ("cause=x", "since=yesterday", "until=9999-12-31", "before=x", "before=MC8A"):
        answer = mine.get(f"/billing/ledger?{query}")
        assert answer.status_code == 200, query
        assert QUEUE_ID in answer.text, query


def test_days_are_filtered(mine: FlaskClient) -> None:
    today = utcnow().date().isoformat()
    assert QUEUE_ID in mine.get(f"/billing/ledger?since={today}&until={today}").text
    assert "Nothing found" in mine.get("/billing/ledger?until=2001-01-01").text


def test_pages_go_on_with_the_balance(
    mine: FlaskClient, database: Database, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "ROWS", 2)
    with changing(database, seed) as (session, account):
        for number in range(3):
            ledger.deposit(session, account.id, 1_000_000, reference=f"n{number}")
    address: str | None = "/billing/ledger?since=2001-01-01"
    balances = []
    while address is not None:
        page = mine.get(address).text
        balances += re.findall(r'"Balance after it"[^>]*><[^>]*>([^<]*)<', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = html.unescape(older[1]) if older else None
        assert address is None or "since=2001-01-01" in address
    assert [balance.split(".")[0] for balance in balances] == ["3", "2", "1", "0", "1", "0", "-4"]


def test_the_file_is_the_list(mine: FlaskClient, seed: Seed) -> None:
    answer = mine.get("/billing/ledger.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="ledger-mine.csv"'
    rows = _rows(answer.text)
    assert [row["kind"] for row in rows] == [
        "message", "deposit", "correction", "monthly fee"
    ]  # fmt: skip
    assert rows[0]["message"] == QUEUE_ID
    assert [row["balance"] for row in rows] == ["0.9992", "1.00", "0.00", "-4.90"]
    assert [row["amount"] for row in rows] == ["-0.0008", "1.00", "4.90", "-4.90"]
    assert seed.account_id
    assert FEE == 4_900_000


def test_the_file_has_the_filter(mine: FlaskClient) -> None:
    answer = mine.get("/billing/ledger.csv?cause=adjustment&since=2001-02-03")
    (row,) = _rows(answer.text)
    assert (row["kind"], row["balance"]) == ("correction", "")
    assert "ledger-mine-2001-02-03_.csv" in answer.headers["Content-Disposition"]


def test_a_file_that_breaks_off_says_so(mine: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the database stops answering after the first part."""

    def some(*_: object) -> Iterator[Line]:
        yield Line(1, utcnow(), "fee", -FEE, "fee:1/2026-10", None, None, -FEE)
        raise OperationalError("SELECT", {}, Exception("statement timeout"))

    monkeypatch.setattr(ledger_pages, "every", some)
    answer = mine.get("/billing/ledger.csv")
    *_, line, last = answer.text.splitlines()
    assert "monthly fee" in line
    assert last.startswith('"ERROR: this file is not complete')


def test_a_cursor_of_another_filter_begins_at_the_start(
    mine: FlaskClient, database: Database, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one kind carry no balance on."""
    with changing(database, seed) as (session, account):
        ledger.charge_fee(session, account.id, 1_230_000, reference="second", now=utcnow())
    monkeypatch.setattr(views, "ROWS", 1)
    page = mine.get("/billing/ledger?cause=fee").text
    found = re.search(r'href="([^"]+)" rel="next"', page)
    assert found
    (before,) = parse_qs(urlsplit(html.unescape(found[1])).query)["before"]
    assert "-1.2300 EUR" in mine.get(f"/billing/ledger?before={before}").text
    assert "-1.2300 EUR" not in mine.get(f"/billing/ledger?cause=fee&before={before}").text


def test_no_cell_is_a_formula(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        ledger.adjust(session, account.id, 5, reference="f", note="=HYPERLINK(evil)")
    rows = _rows(mine.get("/billing/ledger.csv").text)
    assert rows[0]["note"] == "'=HYPERLINK(evil)"


def test_an_empty_ledger_says_what_to_do(
    theirs: FlaskClient, database: Database, seed: Seed
) -> None:
    assert "Nothing found" in theirs.get("/billing/ledger?cause=capture").text
    assert theirs.get("/billing/ledger.csv?cause=capture").text.count("\n") == 1
