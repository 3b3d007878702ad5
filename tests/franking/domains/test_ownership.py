"""A domain is verified by one account at a time."""

from __future__ import annotations

import base64

import pytest
from sqlalchemy.exc import IntegrityError

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.domains import check, ownership
from franking.domains.records import expected_records
from franking.mail.authority import signing_domain
from franking.money import pricing
from franking.reasons import Invalid, NotFound, Taken

KEY = base64.b64decode("A" * 43 + "=")


@pytest.fixture
def two(database: Database) -> tuple[Account, Account]:
    with database.transaction() as session:
        plan = pricing.create_plan(session, "standard", currency="EUR", unit_price=1)
        return (
            accounts.create(session, "acme", plan=plan),
            accounts.create(session, "other", plan=plan),
        )


def test_only_verified_domains_sign(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        domain = ownership.add(session, two[0], "Example.com", master_key=KEY)
        assert signing_domain(session, two[0].id, "example.com") is None
        ownership.mark_verified(session, domain, by="assumed")
        mine = signing_domain(session, two[0].id, "example.com")
        assert mine is not None and len(mine.keys) == 1
        assert signing_domain(session, two[1].id, "example.com") is None
        assert signing_domain(session, two[0].id, "sub.example.com") is None


def test_one_verified_owner(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        for account in two:
            ownership.add(session, account, "example.com", master_key=KEY)
        mine, theirs = (ownership.get(session, account, "example.com") for account in two)
        ownership.mark_verified(session, mine, by="dns")
        with pytest.raises(Taken):
            ownership.mark_verified(session, theirs, by="dns")


def test_the_database_holds_it_against_races(
    database: Database, two: tuple[Account, Account]
) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        for account in two:
            row = ownership.add(session, account, "example.com", master_key=KEY)
            row.verified_at = utcnow()


def test_added_once_and_never_foreign(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        ownership.add(session, two[0], "example.com", master_key=KEY)
        with pytest.raises(Taken):
            ownership.add(session, two[0], "EXAMPLE.com.", master_key=KEY)
        with pytest.raises(NotFound):
            ownership.get(session, two[1], "example.com")
        with pytest.raises(Invalid):
            ownership.add(session, two[0], "no dots", master_key=KEY)


def test_check_says_what_to_do(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        domain = ownership.add(session, two[0], "example.com", master_key=KEY)
        records = expected_records(domain, ownership.keys_of(session, domain))
    published = {record.name: [record.value.replace("; ", ";")] for record in records}

    def resolve(name: str) -> list[str]:
        return published.get(name, [])

    assert [finding.status for finding in check.check(records, resolve)] == ["verified"] * 2
    published[records[0].name] = ["franking-verify=somebody-else"]
    del published[records[1].name]
    wrong, missing = check.check(records, resolve)
    assert (wrong.status, missing.status) == ("wrong", "missing")
    assert "somebody-else" in wrong.advice and records[1].value in missing.advice

    def dead(name: str) -> list[str]:
        raise check.LookupTrouble(name)

    assert {f.status for f in check.check(records, dead)} == {"temporary_failure"}
