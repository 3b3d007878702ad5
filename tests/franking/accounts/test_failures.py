"""Counts of failed logins in the database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from franking.accounts import credentials, failures, uses
from franking.accounts.failures import Owner, Run
from franking.db import Database, utcnow
from tests import factories

NOW = utcnow()
WINDOW = timedelta(seconds=60)
SUBJECT = "address:192.0.2.7"


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def run(first: float, last: float, count: int = 1) -> Run:
    return Run(count, at(first), at(last))


@pytest.mark.parametrize(
    ("client_ip", "subject"),
    [
        ("192.0.2.7", SUBJECT),
        ("::ffff:192.0.2.7", SUBJECT),
        ("2001:db8::7", "address:2001:db8::/64"),
        ("2001:DB8:0:0:ffff::8", "address:2001:db8::/64"),
        ("2001:db8:0:1::7", "address:2001:db8:0:1::/64"),
        ("unknown", None),
        (None, None),
    ],
)
def test_subject_of_an_address(client_ip: str | None, subject: str | None) -> None:
    assert failures.address_subject(client_ip) == subject


def test_subjects_fit_their_column() -> None:
    longest = ":".join(["abcd"] * 8)
    assert len(failures.address_subject(longest) or "") <= 80
    assert len(failures.name_subject("x" * 255)) <= 80
    assert "secret" not in failures.name_subject("secret")


def test_nodes_count_together_and_a_run_ends_with_its_window(database: Database) -> None:
    for told in (run(0, 5, 3), run(4, 6, 2)):
        with database.transaction() as session:
            failures.add(session, {SUBJECT: told, "account:17": told}, WINDOW)
    with database.transaction() as session:
        assert failures.since(session, at(0))[SUBJECT] == run(0, 6, 5)
        failures.add(session, {SUBJECT: run(59, 59.9)}, WINDOW)
        assert failures.since(session, at(0))[SUBJECT] == run(0, 59.9, 6)
        failures.add(session, {SUBJECT: run(60, 60)}, WINDOW)
        assert failures.since(session, at(0))[SUBJECT] == run(60, 60, 1)
        assert failures.since(session, at(0))["account:17"] == run(0, 6, 5)


def test_only_what_grew_lately_is_read(database: Database) -> None:
    with database.transaction() as session:
        failures.add(session, {"address:192.0.2.1": run(0, 0), SUBJECT: run(0, 30)}, WINDOW)
        assert list(failures.since(session, at(0))) == ["address:192.0.2.1", SUBJECT]
        assert list(failures.since(session, at(30))) == [SUBJECT]


def test_whose_name_it_is(database: Database) -> None:
    with database.transaction() as session:
        owner = factories.account(session)
        made = factories.credential(session, owner)
        said = [made.credential.username, made.secret, "nobody", "a@example.com"]
        whose = Owner(owner.id, made.credential.id)
        assert failures.owners(session, said) == dict.fromkeys(said[:2], whose)


def test_known_clients_are_those_that_logged_in_to_the_account(database: Database) -> None:
    with database.transaction() as session:
        owner, other = factories.account(session), factories.account(session)
        made = factories.credential(session, owner)
        uses.logged_in(
            session,
            made.credential.id,
            secret_hint="abcd",
            client_ip="192.0.2.7",
            listener=None,
            at=NOW,
        )
        credentials.revoke(session, owner, made.credential.username)
        assert failures.known_client(session, owner.id, "::ffff:192.0.2.7")
        assert not failures.known_client(session, owner.id, "192.0.2.8")
        assert not failures.known_client(session, owner.id, None)
        assert not failures.known_client(session, other.id, "192.0.2.7")
