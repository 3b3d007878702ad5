"""Statements and invoices: the months, one month, the files."""

from __future__ import annotations

import csv
import io

from flask.testing import FlaskClient

from franking.db import utcnow
from franking.money.statements import months
from tests.webpanel.seed import HOSTILE, Seed
from tests.webpanel.test_billing import text_of


def _last_month() -> str:
    return f"{months.preceding(utcnow().date()):%Y-%m}"


def test_months_have_their_balances_and_documents(mine: FlaskClient, seed: Seed) -> None:
    page = mine.get("/billing/statements").text
    assert f'href="/billing/statements/{_last_month()}.csv"' in page
    assert f'href="/billing/invoices/{seed.invoice}.pdf"' in page
    said = text_of(page)
    assert "0.0000 EUR +1.0000 EUR -0.0008 EUR 0.0000 EUR 0.9992 EUR" in said


def test_one_month(mine: FlaskClient) -> None:
    page = text_of(mine.get(f"/billing/statements/{utcnow():%Y-%m}").text)
    assert "Now 0.9992 EUR" in page
    assert "0.0008 EUR 1 0.0008 EUR 0.0000 EUR" in page  # price, messages, charged, given back
    before = mine.get(f"/billing/statements/{_last_month()}").text
    assert "No message was charged in this month" in before
    assert "Monthly fee" in before
    assert HOSTILE not in before


def test_the_statement_as_a_file(mine: FlaskClient) -> None:
    answer = mine.get(f"/billing/statements/{_last_month()}.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f"statement-mine-{_last_month()}.csv" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["kind"] for row in rows] == ["opening", "fee", "adjustment", "closing"]


def test_the_invoice_as_a_file(mine: FlaskClient, theirs: FlaskClient, seed: Seed) -> None:
    answer = mine.get(f"/billing/invoices/{seed.invoice}.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.data.startswith(b"%PDF-")
    assert theirs.get(f"/billing/invoices/{seed.invoice}.pdf").status_code == 404


def test_what_there_is_not(mine: FlaskClient) -> None:
    for name in (
        "statements/2001-01", "statements/9999-12", "statements/nonsense",
        "statements/2026-13.csv", "invoices/999.pdf", f"invoices/{1 << 70}.pdf", "invoices/x.pdf",
    ):  # fmt: skip
        assert mine.get(f"/billing/{name}").status_code == 404, name
