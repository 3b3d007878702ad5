"""What an operator types about prices, terms, the books and money that could not be settled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from franking.accounts.models import Account, AuditEntry
from franking.db import Database, utcnow
from franking.money import ledger, settling
from franking.money.models import Balance
from franking.money.settling import Settled
from tests import factories
from tests.command_line import Cli

CREATE = ("plan", "create", "p", "--price", "0.001")
NEXT_YEAR = f"{utcnow() + timedelta(days=400):%Y-%m-%d}"
WIDEST = 100


class Books:
    """The same database, for what no command does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.transaction() as session:
            owner = session.scalars(select(Account)).one()
            ledger.deposit(session, owner.id, 10_000_000, reference="first")
            self.username = factories.credential(session, owner).credential.username
            self.domain_id = factories.verified_domain(session, owner).id

    def message(self, queue_id: str, *, state: Settled | None = None) -> None:
        now = utcnow()
        with self.database.transaction() as session:
            factories.message(session, self.username, self.domain_id, queue_id, now)
            if state:
                settling.settle(session, "n1", {queue_id: (state, "gap in the log")}, now)

    def audited(self, action: str) -> list[dict[str, Any]]:
        with self.database.session() as session:
            query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
            return [row.detail for row in session.scalars(query)]


@pytest.fixture
def books(ready: Cli, tmp_path: Path) -> Iterator[Books]:
    database = Database(f"sqlite:///{tmp_path}/f.db")
    yield Books(database)
    database.close()


def fits(text: str) -> bool:
    return all(len(line) <= WIDEST for line in text.splitlines())


class TestPlans:
    def test_all_terms(self, ready: Cli) -> None:
        made = ready.ok(
            *CREATE, "--tier", "10000:0.0008", "--tier", "100000:0.0005",
            *("--billing-unit", "recipient"), *("--included", "500"), *("--monthly-fee", "9.90"),
            *("--overdraft", "25"), *("--on-empty", "grace"), *("--grace", "100"),
            *("--hold-days", "3"), *("--hold-messages", "50"),
            *("--refund", "expired"), *("--feature", "api,webhooks"), *("--currency", "chf"),
            *("--keep", "messages=30"),
        )  # fmt: skip
        assert made["terms"] == {
            "billing_unit": "recipient",
            "included": 500,
            "monthly_fee": 9_900_000,
            "overdraft": 25_000_000,
            "on_empty": "grace",
            "grace": 100,
            "hold_messages": 50,
            "hold_days": 3,
            "refunds": ["expired"],
            "features": ["api", "webhooks"],
            "retention": {"messages": 30, "events": 90, "webhooks": 7, "accounting": 30},
        }
        assert made["tiers"] == [
            {"above": 0, "unit_price_micros": 1000},
            {"above": 10_000, "unit_price_micros": 800},
            {"above": 100_000, "unit_price_micros": 500},
        ]
        assert made["currency"] == "CHF"
        assert ready.ok("plan", "show", "p") == made
        text = ready.text("plan", "show", "p")
        assert "above 10,000 0.0008 CHF" in text and "per recipient" in text
        assert "monthly fee   9.90 CHF" in text and "included      500" in text
        assert fits(text) and fits(ready.text("plan", "list"))

    def test_set_changes_only_what_is_said(self, ready: Cli) -> None:
        before = ready.ok(*CREATE, "--overdraft", "5")
        after = ready.ok("plan", "set", "p", "--refund", "none", "--on-empty", "hold")
        assert after["terms"] == before["terms"] | {"refunds": [], "on_empty": "hold"}
        assert after["rules"] == before["rules"]
        again = ready.ok("plan", "set", "p", "--refund", "blocked,expired", "--overdraft", "0")
        assert again["terms"]["refunds"] == ["blocked", "expired"]
        assert again["terms"]["overdraft"] == 0

    def test_changes_are_audited(self, books: Books, ready: Cli) -> None:
        ready.ok(*CREATE)
        ready.ok("plan", "set", "p", "--on-empty", "defer")
        (detail,) = books.audited("plan.set")
        assert detail["before"]["terms"]["on_empty"] == "reject"
        assert detail["after"]["terms"]["on_empty"] == "defer"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--included", "-1"), "included: "),
            (("--overdraft", "much"), "not an amount"),
            (("--on-empty", "grace"), "say with --grace"),
            (("--on-empty", "pay"), "not one of"),
            (("--refund", "all"), "'all' is none of expired, blocked, none"),
            (("--feature", "api,sms"), "'sms' is none of"),
            (("--billing-unit", "byte"), "not one of"),
        ],
    )
    def test_wrong_terms(self, ready: Cli, arguments: tuple[str, ...], said: str) -> None:
        before = ready.ok(*CREATE)
        assert said in ready.refused("plan", "set", "p", *arguments)
        assert ready.ok("plan", "show", "p") == before

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--tier", "0.0008"), "write 10000:0.0008"),
            (("--tier", "10000:cheap"), "not an amount"),
            (("--tier", "0:0.0008"), "above the one before"),
            (("--tier", "5:1", "--tier", "5:2"), "above the one before"),
            (("--tier", "10000:-1"), "negative"),
            (("--currency", "euros"), "ISO 4217"),
        ],
    )
    def test_wrong_prices(self, ready: Cli, arguments: tuple[str, ...], said: str) -> None:
        assert said in ready.refused(*CREATE, *arguments)
        assert "no plan" in ready.refused("plan", "show", "p")


class TestPrices:
    def test_from_a_date_on(self, books: Books, ready: Cli) -> None:
        ready.ok(*CREATE)
        made = ready.ok("price", "set", "p", "--price", "0.002", "--starts", NEXT_YEAR)
        assert (made["state"], made["starts_at"]) == ("coming", f"{NEXT_YEAR}T00:00:00+00:00")
        ready.ok("price", "set", "p", "--price", "0.0009", "--tier", "100:0.0007")
        listed = ready.ok("price", "list", "p")
        assert [row["state"] for row in listed] == ["coming", "now", "past"]
        assert [row["tiers"][0]["unit_price_micros"] for row in listed] == [2000, 900, 1000]
        assert ready.ok("plan", "show", "p")["unit_price_micros"] == 900
        text = ready.text("price", "list", "p")
        assert "0.0009 EUR; above 100 0.0007 EUR" in text and fits(text)
        assert ready.ok("price", "withdraw", "p", str(made["id"]))["withdrawn"]
        assert [row["state"] for row in ready.ok("price", "list", "p")] == ["now", "past"]
        assert [entry["plan"] for entry in books.audited("price.set")] == ["p", "p"]
        assert books.audited("price.withdraw") == [{"plan": "p", "price_list": made["id"]}]

    def test_refusals(self, ready: Cli) -> None:
        ready.ok(*CREATE)
        (now,) = ready.ok("price", "list", "p")
        for arguments, said in (
            (("set", "p", "--price", "1", "--starts", "2020-01-01"), "in the past"),
            (("set", "p", "--price", "1", "--starts", "soon"), "write 2026-12-01"),
            (("set", "q", "--price", "1"), "no plan"),
            (("withdraw", "p", str(now["id"])), "have begun"),
            (("withdraw", "p", "77"), "no price list 77"),
        ):
            assert said in ready.refused("price", *arguments)


class TestAccounts:
    def test_another_plan(self, books: Books, ready: Cli) -> None:
        ready.ok(*CREATE)
        assert ready.ok("account", "set-plan", "acme", "p")["plan"] == "p"
        assert books.audited("account.set_plan") == [{"before": "standard", "after": "p"}]
        assert "no plan" in ready.refused("account", "set-plan", "acme", "nowhere")

    def test_another_currency(self, books: Books, ready: Cli) -> None:
        ready.ok(*CREATE, "--currency", "USD")
        said = ready.refused("account", "set-plan", "acme", "p")
        assert "the books of 'acme' are in EUR" in said and "open another account" in said
        ready.ok("account", "create", "new")
        assert ready.ok("account", "set-plan", "new", "p")["currency"] == "USD"


class TestBooks:
    def test_list(self, books: Books, ready: Cli) -> None:
        books.message("4bCdEf1234zXyW", state="captured")
        ready.ok("adjust", "-0.5", "--note", "typed wrongly " * 12)
        listed = ready.ok("ledger", "list")
        assert [line["cause"] for line in listed["lines"]] == ["adjustment", "capture", "deposit"]
        assert [line["balance_micros"] for line in listed["lines"]] == [
            9_498_000, 9_998_000, 10_000_000,
        ]  # fmt: skip
        assert listed["lines"][1]["queue_id"] == "4bCdEf1234zXyW"
        text = ready.text("ledger", "list", "--limit", "2")
        assert "-0.002" in text and "9.998" in text and "first" not in text
        assert fits(text)
        only = ready.ok("ledger", "list", "--cause", "deposit")["lines"]
        assert [line["amount_micros"] for line in only] == [10_000_000]

    def test_adjust(self, books: Books, ready: Cli) -> None:
        assert ready.ok("adjust", "-12", "--note", "x")["available_micros"] == -2_000_000
        assert "5.00 EUR, 3.00 EUR available" in ready.text("adjust", "5.00", "--note", "sorry")
        first, second = books.audited("money.adjust")
        assert (first["amount_micros"], second["note"]) == (-12_000_000, "sorry")
        for arguments, said in (
            (("adjust", "5"), "--note"),
            (("adjust", "0", "--note", "x"), "nothing"),
            (("adjust", "much", "--note", "x"), "not an amount"),
            (("adjust", "1", "--note", "x" * 181), "more than 180"),
            (("adjust", "1", "--note", "x", "--typo"), "--typo"),
        ):
            assert said in ready.refused(*arguments)

    def test_verify(self, books: Books, ready: Cli) -> None:
        assert "matches" in ready.text("ledger", "verify")
        with books.database.transaction() as session:
            session.execute(update(Balance).values(available=Balance.available + 1, held=5))
        result = ready.run("ledger", "verify")
        assert result.exit_code == 1
        first, *more = result.stdout.splitlines()
        assert first == "account 1: available is 10000001, its entries say 10000000"
        assert len(more) == 1 and more[0].endswith("more; --json lists them)")


class TestReservations:
    @pytest.fixture(autouse=True)
    def unknown(self, books: Books) -> None:
        for queue_id in ("A", "B"):
            books.message(queue_id, state="unknown")
        books.message("C")

    def test_list(self, ready: Cli) -> None:
        rows = ready.ok("reservations", "list")
        assert [(row["queue_id"], row["state"]) for row in rows] == [
            ("A", "unknown"),
            ("B", "unknown"),
        ]
        assert rows[0]["evidence"] == "gap in the log"
        assert [
            row["queue_id"] for row in ready.ok("reservations", "list", "--state", "reserved")
        ] == ["C"]
        assert ready.ok("reservations", "list", "--state", "waiting") == []
        text = ready.text("reservations", "list")
        assert "gap in the log" in text and fits(text)

    def test_settle(self, books: Books, ready: Cli) -> None:
        told = ready.text("reservations", "settle", "n1", "A", "--as", "voided", "--note", "gone")
        assert told.strip() == "A on n1 is voided: 0.002 EUR of acme, held → available"
        settled = ready.ok(
            "reservations", "settle", "n1", "B", "--as", "captured", "--note", "seen"
        )
        assert (settled["state"], settled["evidence"]) == ("captured", "operator: seen")
        assert ready.ok("reservations", "list") == []
        assert ready.ok("message", "show", "A")["status"] == "voided"
        assert [entry["state"] for entry in books.audited("reservation.settle")] == [
            "voided", "captured",
        ]  # fmt: skip
        assert ready.ok("ledger", "verify")["ok"]

    def test_refusals(self, ready: Cli) -> None:
        settle = ("reservations", "settle", "n1")
        for arguments, said in (
            ((*settle, "A", "--as", "voided"), "--note"),
            ((*settle, "A", "--as", "lost", "--note", "x"), "not one of"),
            ((*settle, "C", "--as", "voided", "--note", "x"), "is reserved, not unknown"),
            (
                ("reservations", "settle", "n2", "A", "--as", "voided", "--note", "x"),
                "no reservation",
            ),
        ):
            assert said in ready.refused(*arguments)


def test_goodwill(books: Books, ready: Cli) -> None:
    books.message("A", state="captured")
    refund = ("message", "refund", "A", "--note", "our fault")
    assert ready.text(*refund).strip() == "A: 0.002 EUR given back to acme"
    assert "given back" in ready.refused(*refund)
    assert "refunded   0.002 EUR" in ready.text("message", "show", "A")
    assert books.audited("message.refund")[0]["note"] == "our fault"
    books.message("B")
    assert "not charged" in ready.refused("message", "refund", "B", "--note", "x")
    assert ready.ok("ledger", "verify")["ok"]
