from __future__ import annotations

import pytest
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.money.deposits import booking
from franking.money.deposits.deposits import get
from franking.settings import load
from tests.command_line import Cli


@pytest.fixture
def paid(ready: Cli) -> str:
    """A bank transfer of 20.00 that was credited."""
    made = ready.ok("topup", "20", "--reference", "bank-7", "--note", "Invoice 12")
    assert made["available_micros"] == 20_000_000
    reference: str = made["deposit"]
    return reference


def database(cli: Cli) -> Database:
    return Database(load(cli.settings).database_url)


def test_list_and_show(ready: Cli, paid: str) -> None:
    (row,) = ready.ok("deposit", "list")
    assert row == ready.ok("deposit", "show", paid)
    assert (row["deposit"], row["account"], row["provider"], row["state"]) == (
        paid,
        "acme",
        "manual",
        "paid",
    )
    assert (row["paid_micros"], row["credited_micros"]) == (20_000_000, 20_000_000)
    assert (row["provider_reference"], row["note"]) == ("bank-7", "Invoice 12")
    assert ready.ok("deposit", "list", "--state", "pending") == []
    assert paid in ready.text("deposit", "list", "-a", "acme")
    assert "credited: 20.00 EUR" in ready.text("deposit", "show", paid)
    assert "no deposit D-X" in ready.refused("deposit", "show", "D-X")


def test_reverse(ready: Cli, paid: str) -> None:
    half = ready.ok("deposit", "reverse", paid, "5.50", "--note", "sent back")
    assert (half["state"], half["credited_micros"]) == ("paid", 14_500_000)
    assert "14.50 EUR of it" in ready.refused("deposit", "reverse", paid, "15", "--note", "x")
    assert "say why" in ready.refused("deposit", "reverse", paid, "--note", " ")
    rest = ready.ok("deposit", "reverse", paid, "--note", "wrong account")
    assert (rest["state"], rest["credited_micros"], rest["reversed_micros"]) == (
        "reversed",
        0,
        20_000_000,
    )
    assert ready.ok("balance")["available_micros"] == 0
    assert ready.ok("ledger", "verify")["ok"]
    assert "0.00 EUR of it" in ready.refused("deposit", "reverse", paid, "--note", "again")


def test_it_is_all_in_the_audit_trail(ready: Cli, paid: str) -> None:
    ready.ok("deposit", "reverse", paid, "1", "--note", "sent back")
    opened = database(ready)
    with opened.session() as session:
        found = session.scalars(select(AuditEntry).where(AuditEntry.action.like("%deposit%")))
        (entry,) = found
        topup = session.scalars(select(AuditEntry).where(AuditEntry.action == "money.topup")).one()
    opened.close()
    assert entry.detail == {"reference": paid, "amount_micros": 1_000_000, "note": "sent back"}
    assert topup.detail["reference"] == "bank-7"


def test_a_bank_transfer_that_was_announced(ready: Cli) -> None:
    """The customer asked for 50 and sent 49: what arrived counts."""
    opened = database(ready)
    with opened.transaction() as session:
        from franking.accounts import account as accounts

        asked = booking.new(accounts.get(session, "acme"), "manual", 50_000_000, utcnow())
        session.add(asked)
    done = ready.ok("topup", "49", "--reference", "bank-8", "--deposit", asked.reference)
    assert done["deposit"] == asked.reference
    with opened.session() as session:
        row = get(session, None, asked.reference)
    opened.close()
    assert (row.state, row.amount, row.credited) == ("paid", 50_000_000, 49_000_000)
    again = ("topup", "1", "--reference", "bank-9", "--deposit", asked.reference)
    assert "paid already" in ready.refused(*again)
    assert "no deposit" in ready.refused("topup", "1", "--deposit", "D-NONE")


def test_the_banks_reference_counts_once_for_all_accounts(ready: Cli, paid: str) -> None:
    ready.ok("account", "create", "other")
    again = ("topup", "20", "--reference", "bank-7", "--account", "other")
    assert "booked already" in ready.refused(*again)
