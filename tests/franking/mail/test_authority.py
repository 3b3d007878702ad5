"""Whose mail may come from which domain: subdomains, and who is closer."""

from __future__ import annotations

import pytest

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import ownership
from franking.mail.authority import signing_domain
from tests import factories


def signer(database: Database, account: Account, name: str) -> str | None:
    with database.session() as session:
        found = signing_domain(session, account.id, name)
        return found.name if found else None


@pytest.fixture
def owner(database: Database) -> Account:
    """Has example.com verified."""
    with database.transaction() as session:
        account = factories.account(session, "owner")
        factories.verified_domain(session, account, "example.com")
        return account


def allow(database: Database, account: Account) -> None:
    with database.transaction() as session:
        ownership.allow_subdomains(session, account, "example.com", allow=True)


@pytest.mark.parametrize("name", ["news.example.com", "a.b.c.example.com"])
def test_subdomains_only_when_switched_on(database: Database, owner: Account, name: str) -> None:
    assert signer(database, owner, "example.com") == "example.com"
    assert signer(database, owner, name) is None
    allow(database, owner)
    assert signer(database, owner, name) == "example.com"


@pytest.mark.parametrize("name", ["com", "badexample.com", "example.com.evil.net", "xample.com"])
def test_look_alikes_are_no_subdomains(database: Database, owner: Account, name: str) -> None:
    allow(database, owner)
    assert signer(database, owner, name) is None


def test_a_subdomain_of_ones_own_signs_for_itself(database: Database, owner: Account) -> None:
    allow(database, owner)
    with database.transaction() as session:
        factories.verified_domain(session, owner, "news.example.com")
    assert signer(database, owner, "news.example.com") == "news.example.com"
    assert signer(database, owner, "x.news.example.com") is None, "its owner has not allowed it"


def test_the_closer_owner_wins(database: Database, owner: Account) -> None:
    allow(database, owner)
    with database.transaction() as session:
        other = factories.account(session, "other")
        factories.verified_domain(session, other, "shop.example.com")
    assert signer(database, owner, "shop.example.com") is None
    assert signer(database, owner, "x.shop.example.com") is None
    assert signer(database, other, "shop.example.com") == "shop.example.com"
    assert signer(database, other, "example.com") is None


def test_an_unverified_name_of_somebody_else_changes_nothing(
    database: Database, owner: Account
) -> None:
    allow(database, owner)
    with database.transaction() as session:
        other = factories.account(session, "other")
        ownership.add(session, other, "shop.example.com", master_key=factories.MASTER_KEY)
    assert signer(database, owner, "shop.example.com") == "example.com"
