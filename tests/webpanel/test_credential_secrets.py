"""Rotating: who uses which secret, and the end of the old one."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts import credentials, uses
from franking.accounts.models import Account, AuditEntry, Credential
from franking.db import Database, utcnow
from tests.webpanel.seed import HOSTILE, Seed


@pytest.fixture
def username(seed: Seed) -> str:
    return seed.credential.credential.username


def _used(database: Database, username: str, hint: str, ip: str, hours: float) -> None:
    at = utcnow() - timedelta(hours=hours)
    with database.transaction() as session:
        row = session.scalars(select(Credential).filter_by(username=username)).one()
        client = {"secret_hint": hint, "client_ip": ip, "at": at}
        uses.logged_in(session, row.id, listener="submission", **client)
        uses.greeted(session, row.id, helo=f"host{HOSTILE}", **client)


def _row(database: Database, username: str) -> Credential:
    with database.session() as session:
        return session.scalars(select(Credential).filter_by(username=username)).one()


def test_a_new_secret_beside_the_old(
    mine: FlaskClient, seed: Seed, database: Database, username: str
) -> None:
    answer = mine.post(f"/credentials/{username}/rotate", data={"days": "3"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    found = re.search(r'id="new-secret">([^<]+)<', answer.text)
    assert found is not None
    new, row = found[1], _row(database, username)
    assert new != seed.credential.secret
    assert new.endswith(row.secret_hint)
    assert row.previous_until is not None
    left = row.previous_until - utcnow()
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    assert new not in mine.get(f"/credentials/{username}").text
    with database.session() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert entry.action == "credential.rotate"
        assert (entry.detail["secret"], entry.detail["previous"]) == (
            row.secret_hint,
            row.previous_hint,
        )
        assert new not in str(entry.detail)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("", "Write a whole number."),
        ("x", "Write a whole number."),
        ("-1", "from 0"),
        ("99999", "Write a number"),
        ("91", "The old secret may work for 0 to 90 days more"),
    ],
)
def test_days_that_cannot_be(mine: FlaskClient, username: str, days: str, said: str) -> None:
    answer = mine.post(f"/credentials/{username}/rotate", data={"days": days})
    assert answer.status_code == 400
    assert re.search(rf'id="days-error">[^<]*{said}', answer.text)
    assert f'value="{days}"' in answer.text


def test_not_while_the_last_rotation_runs(mine: FlaskClient, username: str) -> None:
    mine.post(f"/credentials/{username}/rotate", data={"days": "3"})
    answer = mine.post(f"/credentials/{username}/rotate", data={"days": "3"})
    assert answer.status_code == 400
    assert "end that overlap first" in answer.text


def test_who_uses_which_and_the_end_of_the_old_one(
    mine: FlaskClient, database: Database, username: str
) -> None:
    mine.post(f"/credentials/{username}/rotate", data={"days": "3"})
    row = _row(database, username)
    assert row.previous_hint is not None
    _used(database, username, "oldr", "192.0.2.1", 1)
    _used(database, username, row.previous_hint, "192.0.2.2", 23)
    _used(database, username, row.previous_hint, "192.0.2.3", 25)
    _used(database, username, row.secret_hint, "192.0.2.4", 0)

    page = mine.get(f"/credentials/{username}").text
    assert HOSTILE not in page
    shown = {
        address: state
        for line in page.split("<tr>")
        if (address := "".join(re.findall(r"<code>(192[^<]+)<", line)))
        for state in ("current", "previous", "ended")
        if f">{state}<" in line
    }
    assert shown == {
        "192.0.2.1": "ended",
        "192.0.2.2": "previous",
        "192.0.2.3": "previous",
        "192.0.2.4": "current",
    }
    found = re.search(r'data-confirm="(End the old secret [^"]*)"', page)
    assert found is not None
    assert re.findall(r"192\.0\.2\.\d", html.unescape(found[1])) == ["192.0.2.2"]

    answer = mine.post(f"/credentials/{username}/end-overlap", follow_redirects=True)
    assert f"only …{row.secret_hint} works" in answer.text
    assert "End the old secret" not in answer.text
    assert not credentials.overlapping(_row(database, username), utcnow())
    with database.session() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        assert actions == ["credential.rotate", "credential.end_overlap"]


def test_a_revoked_one_has_nothing_to_press(mine: FlaskClient, username: str) -> None:
    mine.post(f"/credentials/{username}/revoke")
    page = mine.get(f"/credentials/{username}").text
    assert "revoked" in page
    assert "New secret now" not in page
    assert 'name="stream"' not in page
    answer = mine.post(f"/credentials/{username}/rotate", data={"days": "3"})
    assert answer.status_code == 400


@pytest.mark.parametrize("action", ["", "/rotate", "/end-overlap"])
def test_what_is_anothers_stays(
    theirs: FlaskClient, database: Database, seed: Seed, username: str, action: str
) -> None:
    before = _row(database, username)
    data = {"days": "3", "stream": "stolen"}
    assert theirs.post(f"/credentials/{username}{action}", data=data).status_code == 404
    after = _row(database, username)
    assert (after.secret_sha256, after.stream) == (before.secret_sha256, before.stream)
    with database.session() as session:
        assert session.get_one(Account, seed.account_id)
        assert session.scalars(select(AuditEntry)).all() == []
