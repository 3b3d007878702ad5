"""Who is it?  The rule itself is tested in tests/franking/accounts/test_authentication.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.db import Base, Database
from franking.mail import replies
from policyd.authenticate import Accepted, Denied, Unavailable, authenticate
from policyd.dovecot import Login

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def login(
    username: str,
    secret: str,
    ip: str | None = "192.0.2.7",
    *,
    secured: bool = True,
    listener: str = "submission",
) -> Login:
    return Login(1, "PLAIN", username, secret, ip, secured=secured, listener=listener)


def change(database: Database, people: dict[str, str], options: Options) -> None:
    with database.transaction() as session:
        credentials.change(session, accounts.get(session, "user"), people["user"], options)


def test_accepted_under_the_credentials_own_name(
    database: Database, people: dict[str, str]
) -> None:
    for name in (people["user"], people["secret"]):
        outcome = authenticate(database, login(name, people["secret"]), NOW)
        assert isinstance(outcome, Accepted) and outcome.username == people["user"]
        assert (outcome.use.ip, outcome.use.at) == ("192.0.2.7", NOW)
        assert outcome.use.secret_hint == people["secret"][-4:]
        assert outcome.use.listener == "submission"


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
        "listener": "submission",
    }
    assert not outcome.proved
    assert outcome.reason == replies.AUTH_FAILED and outcome.reason in reply.text


def test_a_refusal_of_a_proved_secret_says_which(
    database: Database, people: dict[str, str]
) -> None:
    """An old application's address is what its owner looks for after a rotation."""
    outcome = authenticate(database, login(people["revoked"], people["revoked_secret"]), NOW)
    assert isinstance(outcome, Denied) and outcome.proved and outcome.refusal is not None
    assert outcome.refusal.detail["secret"] == f"…{people['revoked_secret'][-4:]}"
    assert people["revoked_secret"] not in str(outcome)


def test_what_postfix_knows_of_the_connection_decides(
    database: Database, people: dict[str, str]
) -> None:
    def reason(ip: str, *, secured: bool) -> str | None:
        asked = login(people["user"], people["secret"], ip, secured=secured, listener="smtp")
        outcome = authenticate(database, asked, NOW)
        return outcome.reason if isinstance(outcome, Denied) else None

    networks = ("192.0.2.0/24", "2001:db8::/32")
    change(database, people, Options(source_networks=networks))
    assert reason("192.0.2.7", secured=True) is None
    assert reason("192.0.2.7", secured=False) == replies.AUTH_PLAINTEXT
    change(database, people, Options(source_networks=networks, allow_plaintext=True))
    for ip in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"):
        assert reason(ip, secured=False) is None
    assert reason("198.51.100.1", secured=False) == replies.AUTH_ADDRESS


def test_an_address_has_one_form(database: Database, people: dict[str, str]) -> None:
    for given, noted in (
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("unknown", "unknown"),
        (None, None),
    ):
        outcome = authenticate(database, login(people["user"], people["secret"], given), NOW)
        assert isinstance(outcome, Accepted) and outcome.use.ip == noted


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
