"""Which mails are due: claims, people, retries, giving up.  (The sending: tests/worker.)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from franking.accounts import users
from franking.accounts.models import User
from franking.db import Database
from franking.notices import notices, outgoing
from franking.notices.models import Notice
from franking.notices.outgoing import LEASE, RETRIES, SENT, Claimed
from tests import factories

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
PEOPLE = ("ann@acme.test", "bob@acme.test")


@pytest.fixture
def noticed(database: Database) -> Database:
    """One notice to two people; a third is not active, a fourth somebody else's."""
    with database.transaction() as session:
        account = factories.account(session)
        for address in (*PEOPLE, "gone@acme.test"):
            users.create(session, account, address, "correct horse")
        session.query(User).filter_by(email="gone@acme.test").update({"active": False})
        users.create(session, factories.account(session), "eve@other.test", "correct horse")
        notices.give(session, account.id, "balance.low", now=NOW)
    return database


def claim(database: Database, now: datetime = NOW) -> list[Claimed]:
    with database.transaction() as session:
        return outgoing.claim(session, now)


def notice(database: Database) -> Notice:
    with database.session() as session:
        return session.get_one(Notice, 1)


def test_people_are_done_with_one_by_one(noticed: Database) -> None:
    (claimed,) = claim(noticed)
    assert claimed.addresses == list(PEOPLE)
    assert claim(noticed) == []
    later = NOW + LEASE / 2
    with noticed.transaction() as session:
        assert outgoing.renew(session, claimed, NOW + LEASE / 4)
    with noticed.transaction() as session:
        assert outgoing.record(session, claimed, PEOPLE[0], SENT, later)
    assert claim(noticed, NOW + LEASE) == []  # it was renewed
    (again,) = claim(noticed, later + LEASE)  # whoever had it died over it
    assert again.addresses == [PEOPLE[1]]
    with noticed.transaction() as session:
        assert outgoing.record(session, again, PEOPLE[1], "550 5.1.1 unknown", later + LEASE)
        outgoing.finish(session, again, later + LEASE)
    found = notice(noticed)
    assert (found.mailed_at, found.mail_due_at) == (later + LEASE, None)
    assert found.mail_error == "bob@acme.test: 550 5.1.1 unknown"
    assert notices.mail_state(found) == "failed"


def test_who_lost_the_lease_writes_nothing(noticed: Database) -> None:
    (slow,) = claim(noticed)
    (quick,) = claim(noticed, NOW + LEASE)
    with noticed.transaction() as session:
        assert not outgoing.renew(session, slow, NOW + LEASE)
        assert not outgoing.record(session, slow, PEOPLE[0], SENT, NOW + LEASE)
        outgoing.fail(session, slow, "too late", NOW + LEASE)
        outgoing.finish(session, slow, NOW + LEASE)
    assert notice(noticed).mail_due_at == quick.lease
    assert notice(noticed).mail_attempts == 0


def test_retries_get_rarer_and_end(noticed: Database) -> None:
    now = NOW
    for wait in RETRIES:
        (claimed,) = claim(noticed, now)
        with noticed.transaction() as session:
            outgoing.fail(session, claimed, "refused", now)
        assert notice(noticed).mail_due_at == now + wait
        assert notices.mail_state(notice(noticed)) == "waiting"
        now += wait
    (last,) = claim(noticed, now)
    with noticed.transaction() as session:
        outgoing.fail(session, last, "refused", now)
    found = notice(noticed)
    assert (found.mail_due_at, found.mailed_at) == (None, None)
    assert found.mail_error == "given up after 9 tries: refused"
    assert notices.mail_state(found) == "failed"


def test_nobody_to_write_to(database: Database) -> None:
    with database.transaction() as session:
        notices.give(session, factories.account(session).id, "balance.low", now=NOW)
    (claimed,) = claim(database)
    assert claimed.addresses == []
    with database.transaction() as session:
        outgoing.finish(session, claimed, NOW)
    assert notice(database).mail_error == "the account has no active user"


def test_old_news_are_not_sent(noticed: Database) -> None:
    """What collected while no sender was configured."""
    assert claim(noticed, NOW + timedelta(days=3, seconds=1)) == []
    found = notice(noticed)
    assert (found.mail_due_at, found.mail_error) == (None, "not sent within 3 days")
    with noticed.session() as session:
        assert not outgoing.waiting(session, NOW + timedelta(days=4))
