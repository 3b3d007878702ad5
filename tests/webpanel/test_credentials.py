"""Creating, showing once, listing, revoking; the options are in `test_credential_options`."""

from __future__ import annotations

import re
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.accounts.models import Account, AuditEntry, Credential
from franking.accounts.rules import Narrowing
from franking.db import Database, utcnow
from tests import factories
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


def test_the_list_says_what_each_one_is(mine: FlaskClient, seed: Seed, database: Database) -> None:
    now = utcnow()
    options = Options(
        stream="office",
        expires_at=now - timedelta(days=1),
        source_networks=("192.0.2.0/24", "2001:db8::/32"),
        sending_domains=("example.com",),
        allow_plaintext=True,
        rules=Narrowing(max_recipients=5),
    )
    with database.transaction() as session:
        made = credentials.create(
            session,
            session.get_one(Account, seed.account_id),
            "Scanner",
            prefix=factories.PREFIX,
            mode="test",
            options=options,
            now=now - timedelta(days=9),
        ).credential
        made.last_used_at, made.last_used_ip, made.last_used_helo = now, "192.0.2.9", f"h{HOSTILE}"
    page = mine.get("/credentials").text
    row = next(row for row in page.split("<tr>") if "Scanner" in row)
    for said in (
        "office",
        f"expires {options.expires_at:%Y-%m-%d}, 2 networks, 1 domain, clear text allowed, own",
        ">expired<",
        ">test<",
        "192.0.2.9",
        f"/credentials/{made.username}",
    ):
        assert said in row, said
    assert HOSTILE not in page
