"""Creating, showing once, revoking."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.models import AuditEntry, Credential
from franking.db import Database
from tests.webpanel.seed import EMAIL, HOSTILE, Seed


def _secret(page: str) -> str:
    found = re.search(r'id="new-secret">([^<]+)<', page)
    assert found is not None
    return found[1]


def test_the_secret_is_shown_once(mine: FlaskClient, database: Database) -> None:
    answer = mine.post("/credentials", data={"name": "Billing cron"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    secret = _secret(answer.text)
    assert secret.startswith("frank_live_")
    assert answer.text.count(secret) == 1
    assert secret not in str(answer.headers)
    for path in ("/", "/credentials", "/messages"):
        assert secret not in mine.get(path).text
    with database.session() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.actor, entry.action) == (EMAIL, "credential.create")
        assert secret not in str(entry.detail)


def test_names_are_checked_and_escaped(mine: FlaskClient) -> None:
    for name in ("", "   ", "x" * 65, "a\x07b"):
        answer = mine.post("/credentials", data={"name": name})
        assert answer.status_code == 400
        assert "invalid-feedback" in answer.text
    answer = mine.post("/credentials", data={"name": HOSTILE})
    assert answer.status_code == 201
    assert HOSTILE not in answer.text


def test_revoke(mine: FlaskClient, seed: Seed, database: Database) -> None:
    username = seed.credential.credential.username
    answer = mine.post(f"/credentials/{username}/revoke", follow_redirects=True)
    assert "is revoked" in answer.text
    assert HOSTILE not in answer.text
    with database.session() as session:
        row = session.scalars(select(Credential).where(Credential.username == username)).one()
        assert row.revoked_at is not None
        assert session.scalars(select(AuditEntry.action)).all() == ["credential.revoke"]


def test_a_foreign_one_is_not_revoked(theirs: FlaskClient, seed: Seed, database: Database) -> None:
    username = seed.credential.credential.username
    assert theirs.post(f"/credentials/{username}/revoke").status_code == 404
    with database.session() as session:
        row = session.scalars(select(Credential).where(Credential.username == username)).one()
        assert row.revoked_at is None
