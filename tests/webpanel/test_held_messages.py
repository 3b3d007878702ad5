"""A held message says why it waits, and its customer may put it first in its line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.limits import Subject, closed
from franking.accounts.models import AuditEntry
from franking.accounts.rules import parse_window
from franking.db import Database, utcnow
from franking.mail import holding
from franking.mail.models import HeldMessage
from tests.webpanel import seed as seeds

HELD = "4bCdEf1234zHeLd"


@pytest.fixture
def held(database: Database, seed: seeds.Seed) -> str:
    now = utcnow() + timedelta(seconds=1)
    with database.transaction() as session:
        seeds.message(session, seed, HELD, at=now)
        holding.hold(
            session,
            node="n1",
            queue_id=HELD,
            subject=Subject(seed.account_id, seed.credential.credential.id, None),
            reason=str(closed(parse_window("5/day hold"), now)),
            recipients=2,
            now=now,
        )
    return HELD


def test_it_says_why_it_waits(mine: FlaskClient, held: str) -> None:
    page = mine.get(f"/messages/{held}").text
    assert "limit of 5 messages per day exceeded" in page
    assert "Send it next" in page
    assert "Send it next" not in mine.get(f"/messages/{seeds.QUEUE_ID}").text


def test_its_customer_may_put_it_first(mine: FlaskClient, database: Database, held: str) -> None:
    answer = mine.post(f"/messages/{held}/release", follow_redirects=True)
    assert "next to go" in answer.text
    with database.session() as session:
        assert session.scalars(select(HeldMessage.release_requested_at)).one() is not None
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.action, entry.detail) == ("message.release", {"queue_id": held})


def test_nobody_else_may(
    theirs: FlaskClient, nobody: FlaskClient, database: Database, held: str
) -> None:
    assert theirs.post(f"/messages/{held}/release").status_code == 404
    assert nobody.post(f"/messages/{held}/release").status_code == 302
    with database.session() as session:
        assert session.scalars(select(HeldMessage.release_requested_at)).one() is None
