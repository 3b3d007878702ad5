"""Who is let in, and what those who are not are told."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from franking.accounts import account as accounts
from franking.accounts import credentials, users
from franking.accounts.models import Account, Credential
from franking.db import Database
from franking.mail import replies
from franking.money import pricing
from franking.reasons import Invalid, NotFound, Taken


@pytest.fixture
def made(database: Database) -> credentials.Created:
    with database.transaction() as session:
        plan = pricing.create_plan(session, "standard", currency="EUR", unit_price=1)
        accounts.create(session, "other", plan=plan)
        account = accounts.create(session, "acme", plan=plan)
        return credentials.create(session, account, "website", prefix="frank")


def refusal(database: Database, username: str, secret: str) -> credentials.AuthenticationFailed:
    with pytest.raises(credentials.AuthenticationFailed) as caught, database.session() as session:
        credentials.authenticate(session, username, secret)
    return caught.value


def test_user_and_secret(database: Database, made: credentials.Created) -> None:
    with database.session() as session:
        found = credentials.authenticate(session, made.credential.username, made.secret)
        assert found.id == made.credential.id


def test_secret_in_both_fields(database: Database, made: credentials.Created) -> None:
    with database.session() as session:
        assert credentials.authenticate(session, made.secret, made.secret).name == "website"


def test_strangers_cannot_tell_known_from_unknown(
    database: Database, made: credentials.Created
) -> None:
    known = refusal(database, made.credential.username, "wrong")
    unknown = refusal(database, "frank_nobody2345", "wrong")
    assert known.reason == unknown.reason == replies.AUTH_FAILED
    assert known.credential is not None and unknown.credential is None


def test_revoked_is_told_only_to_the_holder(database: Database, made: credentials.Created) -> None:
    username = made.credential.username
    with database.transaction() as session:
        credentials.revoke(session, accounts.get(session, "acme"), username)
    assert refusal(database, username, made.secret).reason == replies.AUTH_REVOKED
    assert refusal(database, username, "wrong").reason == replies.AUTH_FAILED


def test_suspended_account(database: Database, made: credentials.Created) -> None:
    with database.transaction() as session:
        accounts.get(session, "acme").status = "suspended"
    refused = refusal(database, made.credential.username, made.secret)
    assert refused.reason == replies.AUTH_SUSPENDED


def test_the_secret_is_not_stored(database: Database, made: credentials.Created) -> None:
    with database.session() as session:
        row = session.scalars(select(Credential)).one()
        stored = " ".join(str(value) for value in vars(row).values())
    assert made.secret not in stored
    assert made.secret.endswith(row.secret_hint)


def test_a_foreign_credential_is_not_found(database: Database, made: credentials.Created) -> None:
    with database.session() as session:
        other = accounts.get(session, "other")
        for call in (credentials.get, credentials.revoke):
            with pytest.raises(NotFound):
                call(session, other, made.credential.username)
        assert credentials.all_of(session, other) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_names_are_checked(database: Database, name: str) -> None:
    with database.transaction() as session, pytest.raises(Invalid):
        credentials.create(session, Account(name="x"), name, prefix="frank")


def test_users_need_a_real_address_and_password(
    database: Database, made: credentials.Created
) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        assert users.create(session, account, "Ann@Example.com", "long enough").password[:9] == (
            "$argon2id"
        )
        with pytest.raises(Taken):
            users.create(session, account, "ann@example.com", "long enough")
        with pytest.raises(Invalid):
            users.create(session, account, "no address", "long enough")
        with pytest.raises(Invalid):
            users.create(session, account, "bob@example.com", "short")


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-a", "a" * 65])
def test_account_names(database: Database, made: credentials.Created, name: str) -> None:
    with database.transaction() as session, pytest.raises(Invalid):
        accounts.create(session, name, plan=pricing.plan_named(session, "standard"))
