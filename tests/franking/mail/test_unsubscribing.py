"""Tokens are ours or nobody's; what they do to the list, how often, and what undoes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, AuditEntry
from franking.db import Database
from franking.mail import suppressions, unsubscribing
from franking.mail.config import Suppressions
from franking.mail.models import Event, Suppression
from franking.mail.unsubscribing import START, By, Subscription, Tokens
from tests import factories

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
TOKENS = Tokens(factories.MASTER_KEY)
QUEUE_ID = "4gDmcX3y9Gz1sKp"
QUEUE_IDS = st.from_regex(r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,23}", fullmatch=True)
RULES = Suppressions()


@given(QUEUE_IDS)
def test_ours_come_back(queue_id: str) -> None:
    token = TOKENS.token(queue_id)
    assert len(START + token) <= 60
    assert token.isalnum()
    for written in (token, token.upper(), token.title()):
        assert TOKENS.queue_id(written) == queue_id


@given(QUEUE_IDS, st.integers(0, 100), st.sampled_from("0189az-"))
def test_a_changed_one_is_nobodys(queue_id: str, place: int, letter: str) -> None:
    token = TOKENS.token(queue_id)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    found = TOKENS.queue_id(changed)
    assert found in {None, queue_id}, "never another message"
    assert found is None or changed == token or place < len(token) - 16


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a" * 16,
        "é" * 20,
        "a" * 1000,
        "-" + TOKENS.token(QUEUE_ID),
        TOKENS.token(QUEUE_ID)[:-1],
        TOKENS.token(QUEUE_ID) + "a",
        Tokens(bytes(32)).token(QUEUE_ID),
    ],
)
def test_others_are_nobodys(token: str) -> None:
    assert TOKENS.queue_id(token) is None


def test_the_old_master_key_is_still_known() -> None:
    new = Tokens(bytes(32), factories.MASTER_KEY)
    assert new.queue_id(TOKENS.token(QUEUE_ID)) == QUEUE_ID
    assert new.token(QUEUE_ID) == Tokens(bytes(32)).token(QUEUE_ID)


@pytest.fixture
def account(database: Database) -> Account:
    """Has sent a message; its credential's stream is `default`."""
    with database.transaction() as session:
        owner = factories.funded(session, "shop")
        username = factories.credential(session, owner).credential.username
        domain = factories.verified_domain(session, owner)
        factories.message(session, username, domain.id, QUEUE_ID, NOW)
        factories.message(session, username, domain.id, "SECND", NOW)
        both = ("anna@example.org", "ben@example.org")
        factories.message(session, username, domain.id, "BTH", NOW, recipients=both)
        return owner


def take(database: Database, queue_id: str = QUEUE_ID, by: By = "one-click") -> Subscription | None:
    with database.transaction() as session:
        return unsubscribing.take(session, queue_id, RULES, NOW, by=by)


def undo(database: Database, queue_id: str = QUEUE_ID) -> Subscription | None:
    with database.transaction() as session:
        return unsubscribing.undo(session, queue_id)


def listed(session: Session) -> list[tuple[str, str, str, str, int | None]]:
    rows = session.scalars(select(Suppression))
    return [(r.address, r.scope, r.scope_name, r.reason, r.event_id) for r in rows]


def events(session: Session) -> list[Event]:
    return list(session.scalars(select(Event).where(Event.kind == "unsubscribed")))


@pytest.mark.usefixtures("account")
def test_it_is_of_the_stream_and_once(database: Database) -> None:
    for by in ("one-click", "page"):
        assert take(database, by=by)
    with database.session() as session:
        (event,) = events(session)
        assert (event.recipient, event.queue_id) == ("anna@example.org", QUEUE_ID)
        assert event.detail == {"by": "one-click"}
        assert listed(session) == [
            ("anna@example.org", "stream", "default", "unsubscribe", event.id)
        ]


def test_only_that_stream_is_left_out(database: Database, account: Account) -> None:
    take(database)
    with database.session() as session:
        for stream, expected in (("default", {"anna@example.org"}), ("receipts", set())):
            found = suppressions.matching(
                session, account.id, ["anna@example.org"], "example.com", stream, now=NOW
            )
            assert set(found) == expected


@pytest.mark.usefixtures("account")
def test_undone_and_done_again(database: Database) -> None:
    taken = take(database)
    assert taken is not None and taken.holds
    for _ in range(2):
        undone = undo(database)
        assert undone is not None and not undone.holds
    with database.session() as session:
        assert listed(session) == []
        (audited,) = session.scalars(select(AuditEntry).where(AuditEntry.actor == "recipient"))
        assert audited.action == "suppression.remove"
        assert audited.detail["address"] == "anna@example.org"
    again = take(database)
    assert again is not None and again.holds
    with database.session() as session:
        assert len(events(session)) == 1
        assert len(listed(session)) == 1


@pytest.mark.usefixtures("account")
def test_another_message_does_not_undo_it(database: Database) -> None:
    take(database)
    assert undo(database, "SECND")
    second = take(database, "SECND")
    assert second is not None and not second.holds
    undo(database, "SECND")
    with database.session() as session:
        assert len(listed(session)) == 1, "the first has put it on the list"
        assert len(events(session)) == 2


def test_a_complaint_is_not_undone(database: Database, account: Account) -> None:
    with database.transaction() as session:
        suppressions.add(
            session, account, "anna@example.org", reason="complaint",
            scope="stream", scope_name="default", now=NOW - timedelta(days=1),
        )  # fmt: skip
    taken = take(database)
    assert taken is not None and not taken.holds
    undo(database)
    with database.session() as session:
        assert [row[3] for row in listed(session)] == ["complaint"]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("queue_id", ["BTH", "GNE"])
def test_what_has_no_one_recipient_is_nothing(database: Database, queue_id: str) -> None:
    assert take(database, queue_id) is None
    assert undo(database, queue_id) is None
    with database.session() as session:
        assert (listed(session), events(session)) == ([], [])


def test_the_same_queue_id_on_two_nodes_is_nobodys(database: Database, account: Account) -> None:
    with database.transaction() as session:
        found = unsubscribing.find(session, QUEUE_ID)
        assert found is not None
        username = factories.credential(session, session.get_one(Account, account.id), "two")
        factories.message(
            session, username.credential.username, 1, QUEUE_ID, NOW, node="n2",
            recipients=["carl@example.org"],
        )  # fmt: skip
    assert take(database) is None
