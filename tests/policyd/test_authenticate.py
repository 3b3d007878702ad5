"""Who is it?  The rule itself is tested in tests/franking/accounts/test_credentials.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.db import Base, Database
from franking.mail import replies
from policyd.authenticate import Accepted, Denied, Unavailable, authenticate
from policyd.dovecot import Login

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def login(username: str, secret: str, ip: str | None = "192.0.2.7") -> Login:
    return Login(1, "PLAIN", username, secret, ip, True)


def test_accepted_under_the_credentials_own_name(
    database: Database, people: dict[str, str]
) -> None:
    for name in (people["user"], people["secret"]):
        outcome = authenticate(database, login(name, people["secret"]), NOW)
        assert isinstance(outcome, Accepted) and outcome.username == people["user"]
        assert (outcome.use.ip, outcome.use.at) == ("192.0.2.7", NOW)


def test_a_refusal_of_a_known_name_will_be_shown(
    database: Database, people: dict[str, str]
) -> None:
    outcome = authenticate(database, login(people["user"], "wrong"), NOW)
    assert isinstance(outcome, Denied) and outcome.refusal is not None
    reply = outcome.refusal.reply
    assert (reply.code, reply.enhanced) == (535, "5.7.8")
    assert outcome.refusal.detail == {
        "stage": "AUTH",
        "auth_method": "PLAIN",
        "client_ip": "192.0.2.7",
    }
    assert outcome.reason == replies.AUTH_FAILED and outcome.reason in reply.text


def test_an_unknown_name_is_nobodys_event(database: Database, people: dict[str, str]) -> None:
    assert authenticate(database, login("nobody", "x"), NOW) == Denied(replies.AUTH_FAILED)


def test_revoked_a_moment_ago(database: Database, people: dict[str, str]) -> None:
    asked = login(people["user"], people["secret"])
    assert isinstance(authenticate(database, asked, NOW), Accepted)
    with database.transaction() as session:
        credentials.revoke(session, accounts.get(session, "user"), people["user"])
    outcome = authenticate(database, asked, NOW)
    assert isinstance(outcome, Denied) and outcome.reason == replies.AUTH_REVOKED


def test_no_database_is_no_refusal(database: Database, people: dict[str, str]) -> None:
    Base.metadata.drop_all(database.engine)
    with pytest.raises(Unavailable):
        authenticate(database, login(people["user"], people["secret"]), NOW)
