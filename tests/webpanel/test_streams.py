"""Streams on the page of credentials: which are bulk mail."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.models import Account, AuditEntry
from franking.db import Database
from franking.mail import streams
from franking.mail.streams import Known
from tests.webpanel.seed import Seed


def known(database: Database, seed: Seed) -> list[Known]:
    with database.session() as session:
        return list(streams.all_of(session, session.get_one(Account, seed.account_id)))


def test_marked_and_unmarked(mine: FlaskClient, database: Database, seed: Seed) -> None:
    assert "Mark as bulk" in mine.get("/credentials").text
    page = mine.post("/credentials/streams", data={"name": "default", "bulk": "y"})
    assert page.location == "/credentials#streams"
    assert known(database, seed) == [Known("default", True, 1)]
    page = mine.get("/credentials").text
    assert "gets links to unsubscribe" in page and "Not bulk" in page
    mine.post("/credentials/streams", data={"name": "default"})
    assert known(database, seed) == [Known("default", False, 1)]
    with database.session() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        assert [(e.action, e.detail["bulk"]) for e in entries] == [
            ("stream.set", True),
            ("stream.set", False),
        ]


@pytest.mark.parametrize("name", ["", "No Name", "x" * 40])
def test_what_is_no_stream(mine: FlaskClient, database: Database, seed: Seed, name: str) -> None:
    answer = mine.post("/credentials/streams", data={"name": name, "bulk": "y"})
    assert answer.status_code == 400
    assert known(database, seed) == [Known("default", False, 1)]
