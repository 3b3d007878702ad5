"""Which client uses which secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from franking.accounts import credentials, uses
from franking.accounts.models import Credential, CredentialUse
from franking.db import Database
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD, NEW = "aaaa", "bbbb"


@pytest.fixture
def credential(database: Database) -> Credential:
    with database.transaction() as session:
        owner = factories.account(session)
        factories.credential(session, owner)
        return factories.credential(session, owner).credential


def login(
    database: Database,
    credential: Credential,
    minute: int,
    *,
    hint: str = NEW,
    ip: str | None = "192.0.2.7",
    listener: str | None = "submission",
) -> None:
    with database.transaction() as session:
        uses.logged_in(
            session,
            credential.id,
            secret_hint=hint,
            client_ip=ip,
            listener=listener,
            at=NOW + timedelta(minutes=minute),
        )


def greet(database: Database, credential: Credential, helo: str, hint: str | None = None) -> None:
    with database.transaction() as session:
        uses.greeted(
            session,
            credential.id,
            secret_hint=hint,
            client_ip="192.0.2.7",
            helo=helo,
            at=NOW + timedelta(minutes=30),
        )


def clients(database: Database, credential: Credential) -> list[CredentialUse]:
    with database.session() as session:
        return list(credentials.uses(session, credential))


def row(database: Database, credential: Credential) -> Credential:
    with database.session() as session:
        return session.get_one(Credential, credential.id)


def test_a_row_for_each_secret_and_address_newest_first(
    database: Database, credential: Credential
) -> None:
    login(database, credential, 0, hint=OLD)
    login(database, credential, 1)
    login(database, credential, 2, ip="2001:db8::1")
    login(database, credential, 3, hint=OLD, listener="submissions")
    found = clients(database, credential)
    assert [(u.secret_hint, u.client_ip, u.listener) for u in found] == [
        (OLD, "192.0.2.7", "submissions"),
        (NEW, "2001:db8::1", "submission"),
        (NEW, "192.0.2.7", "submission"),
    ]
    assert found[0].first_used_at == NOW
    assert found[0].last_used_at == NOW + timedelta(minutes=3)
    assert row(database, credential).last_used_at == NOW + timedelta(minutes=3)


def test_an_unknown_address_is_a_use_without_a_client(
    database: Database, credential: Credential
) -> None:
    login(database, credential, 0, ip=None, listener="")
    assert clients(database, credential) == []
    assert row(database, credential).last_used_at == NOW


def test_who_was_away_the_longest_is_forgotten(database: Database, credential: Credential) -> None:
    for minute in range(uses.MOST_CLIENTS):
        login(database, credential, minute, ip=f"192.0.2.{minute}")
    login(database, credential, 60, ip="192.0.2.0")
    login(database, credential, 61, ip="192.0.2.200")
    kept = {u.client_ip for u in clients(database, credential)}
    assert len(kept) == uses.MOST_CLIENTS
    assert {"192.0.2.0", "192.0.2.200"} <= kept and "192.0.2.1" not in kept


def test_the_ehlo_name_goes_to_the_secret_or_to_the_newest_login(
    database: Database, credential: Credential
) -> None:
    login(database, credential, 0, hint=OLD)
    login(database, credential, 1)
    greet(database, credential, "old.example", OLD)
    found = {u.secret_hint: u.client_helo for u in clients(database, credential)}
    assert found == {OLD: "old.example", NEW: None}
    login(database, credential, 31)
    greet(database, credential, "new.example")
    found = {u.secret_hint: u.client_helo for u in clients(database, credential)}
    assert found == {OLD: "old.example", NEW: "new.example"}
    assert row(database, credential).last_used_helo == "new.example"


def test_a_long_session_goes_on_using_its_secret(
    database: Database, credential: Credential
) -> None:
    login(database, credential, 0, hint=OLD)
    greet(database, credential, "pool.example", OLD)
    (client,) = clients(database, credential)
    assert client.last_used_at == NOW + timedelta(minutes=30)


def test_names_are_what_a_stranger_says(database: Database, credential: Credential) -> None:
    login(database, credential, 0)
    greet(database, credential, "a\0b\nc\u202e" + "x" * 1000)
    (client,) = clients(database, credential)
    assert client.client_helo is not None
    assert client.client_helo.startswith("a?b?c?xxx") and len(client.client_helo) == 255
