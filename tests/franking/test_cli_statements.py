"""`franking statement` and `franking invoice`, as an operator types them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from franking.accounts.models import Account, AuditEntry
from franking.db import Database, utcnow
from franking.money import ledger
from franking.money.pricing import period_of
from franking.money.statements import months
from tests.command_line import Cli

THIS = period_of(utcnow())
LAST = months.preceding(THIS)
PAST = months.preceding(LAST)  # last month cannot be invoiced in the first hour of this one
MONTH = f"{PAST:%Y-%m}"


@pytest.fixture
def billed(ready: Cli, tmp_path: Path) -> Cli:
    """`acme` had 10.00 the month before last and paid a fee of 2.50."""
    with ready.settings.open("a") as file:
        file.write('[invoices]\nissuer_name = "Posthaste GmbH"\ntax_percent = 19\n')
    database = Database(f"sqlite:///{tmp_path}/f.db")
    when = months.start(PAST) + timedelta(days=3)
    with database.transaction() as session:
        account = session.scalars(select(Account)).one()
        ledger.deposit(session, account.id, 10_000_000, reference="b", note="=1+1", now=when)
        ledger.charge_fee(session, account.id, 2_500_000, reference="f", note="Fee", now=when)
    database.close()
    return ready


def test_show(billed: Cli) -> None:
    shown = billed.ok("statement", "show", "--month", MONTH)
    assert (shown["opening"], shown["deposits"], shown["fees"]) == (0, 10_000_000, -2_500_000)
    assert (shown["closing"], shown["held"], shown["difference"]) == (7_500_000, None, 0)
    text = billed.text("statement", "show", "--month", MONTH)
    assert "closing balance: 7.50 EUR" in text and "=1+1" in text
    assert "balance now: 7.50 EUR" in billed.text("statement", "show")


def test_list(billed: Cli) -> None:
    rows = billed.ok("statement", "list")
    assert [row["period"] for row in rows] == [f"{THIS:%Y-%m}", f"{LAST:%Y-%m}", MONTH]
    assert MONTH in billed.text("statement", "list", "--limit", "3")


def test_csv(billed: Cli, tmp_path: Path) -> None:
    printed = billed.text("statement", "csv", "--month", MONTH)
    assert printed.splitlines()[0].startswith("date,kind,description")
    assert ",'=1+1," in printed
    target = tmp_path / "s.csv"
    billed.text("statement", "csv", "--month", MONTH, "-o", str(target))
    assert target.read_bytes().decode().replace("\r\n", "\n") == printed.replace("\r\n", "\n")
    assert b"\r\n" in target.read_bytes()


@pytest.mark.parametrize("month", ["2026", "2026-13", "last", "1999-01"])
def test_months_that_are_none(billed: Cli, month: str) -> None:
    assert month in billed.refused("statement", "show", "--month", month)


def test_issue_list_and_print(billed: Cli, tmp_path: Path) -> None:
    made = billed.ok("invoice", "issue", "--month", MONTH)
    number = f"FR-{THIS.year}-000001"
    assert (made["invoice"], made["total_micros"], made["tax_micros"]) == (
        number,
        2_500_000,
        400_000,
    )
    assert "issued already" in billed.refused("invoice", "issue", "--month", MONTH)
    assert billed.ok("invoice", "issue", "--all", "--month", MONTH) == []
    assert billed.ok("invoice", "list")[0]["invoice"] == number
    assert "2.50" in billed.text("invoice", "list")
    target = tmp_path / "i.pdf"
    billed.text("invoice", "pdf", number, "-o", str(target))
    assert target.read_bytes().startswith(b"%PDF-")
    assert billed.ok("invoice", "pdf", "1")["number"] == number
    assert "no invoice" in billed.refused("invoice", "pdf", "7")
    database = Database(f"sqlite:///{tmp_path}/f.db")
    with database.session() as session:
        entry = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "invoice.issue")
        ).one()
        assert entry.detail == {"invoice": number, "month": MONTH}
    database.close()


def test_issue_for_all(billed: Cli) -> None:
    billed.ok("account", "create", "idle")
    made = billed.ok("invoice", "issue", "--all", "--month", MONTH)
    assert [row["account"] for row in made] == ["acme"]
    assert "either" in billed.refused("invoice", "issue", "--all", "-a", "acme")


def test_this_month_is_not_over(billed: Cli) -> None:
    assert "can be invoiced from" in billed.refused("invoice", "issue", "--month", f"{THIS:%Y-%m}")


def test_without_an_issuer(ready: Cli) -> None:
    assert "issuer" in ready.refused("invoice", "issue")


def test_without_the_font(billed: Cli) -> None:
    billed.ok("invoice", "issue", "--month", MONTH)
    with billed.settings.open("a") as file:
        file.write('font = "/nowhere/a.ttf"\n')
    assert "fonts-dejavu-core" in billed.refused("invoice", "pdf", "1", "-o", "-")
