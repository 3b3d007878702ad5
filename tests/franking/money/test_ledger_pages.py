"""The ledger as an account reads it: every page's balances against a plain running sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.money import ledger, ledger_pages, settling
from franking.money.ledger_pages import Line, Page, Wanted
from tests import factories

BEGIN = datetime(2026, 3, 1, 22, tzinfo=UTC)
HOURS = 60


@pytest.fixture
def account(database: Database) -> Account:
    """Sixty hours over four days: a message each hour, now and then something else, and another
    account that does the same."""
    with database.transaction() as session:
        made = factories.account(session, "mine")
        for owner in (made, factories.account(session, "theirs")):
            _live(session, owner)
        return made


def _live(session: Session, owner: Account) -> None:
    ledger.deposit(session, owner.id, 10_000_000, reference=f"{owner.id}/first/1", now=BEGIN)
    username = factories.credential(session, owner).credential.username
    domain = factories.verified_domain(session, owner, f"{owner.name}.example")

    def accepted(queue_id: str, at: datetime) -> str:
        return factories.message(session, username, domain.id, queue_id, at)

    for hour in range(HOURS):
        at = BEGIN + timedelta(hours=hour)
        queue_id = accepted(f"{owner.name}{hour}", at)
        outcome: settling.Settled = "voided" if hour % 7 == 0 else "captured"
        settling.settle(session, "n1", {queue_id: (outcome, "test")}, at)
        if hour % 10 == 3:
            ledger.charge_fee(session, owner.id, 1_234, reference=f"{owner.id}/{hour}", now=at)
        if hour % 20 == 5:
            key = f"{owner.id}/{hour}"
            ledger.adjust(session, owner.id, -7_000, reference=key, note="by hand", now=at)
    accepted(f"{owner.name}-held", BEGIN + timedelta(hours=HOURS))


def _pages(session: Session, account: Account, wanted: Wanted, limit: int) -> Iterator[Page]:
    found = ledger_pages.page(session, account, wanted, limit=limit)
    yield found
    while found.next is not None:
        found = ledger_pages.page(session, account, wanted, found.next, limit=limit)
        yield found


def _all(session: Session, account: Account, wanted: Wanted, limit: int = 7) -> list[Line]:
    return [line for page in _pages(session, account, wanted, limit) for line in page.lines]


def test_every_line_has_its_balance(database: Database, account: Account) -> None:
    with database.session() as session:
        lines = _all(session, account, Wanted())
        balance = ledger.balance(session, account.id)
        assert lines[0].balance == balance.available + balance.held
        assert balance.held > 0
    so_far = 0
    for line in reversed(lines):
        so_far += line.amount
        assert line.balance == so_far
    assert [line.at for line in lines] == sorted((line.at for line in lines), reverse=True)
    assert len({line.id for line in lines}) == len(lines) == 1 + (HOURS - 9) + 6 + 3


@pytest.mark.parametrize("limit", [1, 3, 50, 1000])
def test_pages_are_the_same_lines(database: Database, account: Account, limit: int) -> None:
    with database.session() as session:
        assert _all(session, account, Wanted(), limit) == _all(session, account, Wanted())


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2026, 3, 2), date(2026, 3, 3)),
        (None, date(2026, 3, 2)),
        (date(2026, 3, 3), None),
        (date(2026, 3, 4), date(2030, 1, 1)),
    ],
)
def test_a_range_has_the_balances_of_the_whole(
    database: Database, account: Account, since: date | None, until: date | None
) -> None:
    with database.session() as session:
        found = _all(session, account, Wanted(since=since, until=until))
        whole = _all(session, account, Wanted())
    assert found
    assert found == [
        line for line in whole if (since or date.min) <= line.at.date() <= (until or date.max)
    ]


def test_a_cause_alone_has_no_balances(database: Database, account: Account) -> None:
    with database.session() as session:
        found = _all(session, account, Wanted(causes=("fee", "adjustment")), 2)
    assert {line.cause for line in found} == {"fee", "adjustment"}
    assert [line.balance for line in found] == [None] * 9


def test_what_is_not_a_cause_finds_nothing(database: Database, account: Account) -> None:
    with database.session() as session:
        assert _all(session, account, Wanted(causes=("reservation",))) == []


def test_a_download_is_the_pages(
    database: Database, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_pages, "BATCH", 4)
    with database.session() as session:
        assert list(ledger_pages.every(session, account, Wanted())) == _all(
            session, account, Wanted()
        )


def test_lines_know_what_they_are_about(database: Database, account: Account) -> None:
    with database.session() as session:
        lines = _all(session, account, Wanted())
    assert lines[-1].deposit == "first"
    assert lines[-1].queue_id is None
    captures = [line for line in lines if line.cause == "capture"]
    assert captures[0].queue_id == f"mine{HOURS - 1}"
    assert captures[0].deposit is None


def test_a_later_page_sums_nothing(database: Database, account: Account) -> None:
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with database.session() as session:
        assert len(list(_pages(session, account, Wanted(until=date(2026, 3, 4)), 20))) > 2
    lines = [statement for statement in asked if "ledger_entry" in statement]
    assert ["sum(" in statement for statement in lines] == [True] + [False] * (len(lines) - 1)


def test_a_made_up_balance_spoils_nothing_else(database: Database, account: Account) -> None:
    with database.session() as session:
        first = ledger_pages.page(session, account, Wanted(), limit=5)
        assert first.next is not None
        right = ledger_pages.page(session, account, Wanted(), first.next, limit=5).lines
        made_up = replace(first.next, balance=77)
        wrong = ledger_pages.page(session, account, Wanted(), made_up, limit=5).lines
    assert wrong[0].balance == 77
    assert [replace(line, balance=None) for line in wrong] == [
        replace(line, balance=None) for line in right
    ]


def test_it_reads_its_index_alone(database: Database, account: Account) -> None:
    asked: list[tuple[str, object]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    with database.session() as session:
        found = ledger_pages.page(session, account, Wanted(), limit=5)
        ledger_pages.page(session, account, Wanted(), found.next, limit=5)
        statements = [pair for pair in asked if "ledger_entry" in pair[0]]
        for statement, values in statements:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
            steps = [row[3] for row in plan if "ledger_entry" in row[3]]
            assert steps
            for step in steps:
                assert "ix_ledger_entry_lines" in step or "ix_ledger_entry_account_id_at" in step
    assert len(statements) == 2


def test_one_moment_many_lines(database: Database) -> None:
    """A batch of the worker has one time; pages part it by number."""
    with database.transaction() as session:
        account = factories.account(session)
        for number in range(9):
            key = f"{number}"
            ledger.deposit(session, account.id, 1 + number, reference=key, now=BEGIN)
        balances = [line.balance for line in _all(session, account, Wanted(), 2)]
        assert balances == [45, 36, 28, 21, 15, 10, 6, 3, 1]
        assert session.scalar(text("select count(*) from ledger_entry")) == 18
