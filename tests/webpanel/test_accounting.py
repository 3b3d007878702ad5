"""Accounting files: seen and fetched by their own account only, keys and passwords for SFTP."""

from __future__ import annotations

import re
from pathlib import Path

import bcrypt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounting.config import Accounting
from franking.accounting.cutting import Cutter
from franking.accounting.models import AccountingFile, SftpAccess
from franking.accounts.models import Account, AuditEntry
from franking.db import Database, utcnow
from franking.money.terms import Terms, stored
from franking.settings import Settings
from tests.webpanel.seed import HOSTILE, Seed

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    rules = Accounting(
        directory=tmp_path / "accounting", sftp_host="sftp.example.net",
        sftp_host_keys=("SHA256:0123 (ED25519)",),
    )  # fmt: skip
    return settings.model_copy(update={"accounting": rules})


@pytest.fixture
def name(app: Flask, seed: Seed, database: Database, settings: Settings) -> str:
    """Of a file of the seeded account."""
    rules = settings.accounting
    assert rules.directory is not None
    now = utcnow()
    Cutter(database, rules, rules.directory).round(now, now)
    with database.session() as session:
        query = select(AccountingFile.name).where(
            AccountingFile.account_id == seed.account_id, AccountingFile.format == "jsonl"
        )
        return session.scalars(query).one()


def _without_feature(database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        account = session.get_one(Account, seed.account_id)
        account.plan.terms = stored(Terms(features=()))


def test_files_are_listed_and_fetched(
    mine: FlaskClient, theirs: FlaskClient, name: str, settings: Settings
) -> None:
    page = mine.get("/accounting").text
    assert f'href="/accounting/files/{name}"' in page
    with mine.get(f"/accounting/files/{name}") as answer:
        assert settings.accounting.directory is not None
        assert answer.data == (settings.accounting.directory / "mine" / name).read_bytes()
        assert answer.content_type == "application/gzip"
        assert "Content-Encoding" not in answer.headers, "it is the file, not its content"
        assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
        assert answer.headers["Cache-Control"] == "no-store"
    with mine.get("/accounting/manifest.jsonl") as answer:
        assert name in answer.get_data(as_text=True)
    assert name not in theirs.get("/accounting").text
    assert theirs.get(f"/accounting/files/{name}").status_code == 404
    assert theirs.get("/accounting/manifest.jsonl").status_code == 404


@pytest.mark.parametrize("name", ["manifest.jsonl", "..%2Fmine%2Fx", "%2Fetc%2Fpasswd", "x"])
def test_other_names_are_no_files(mine: FlaskClient, name: str) -> None:
    assert mine.get(f"/accounting/files/{name}").status_code == 404


def test_the_checker_is_a_program(mine: FlaskClient) -> None:
    with mine.get("/accounting/checking.py") as answer:
        compile(answer.get_data(as_text=True), "checking.py", "exec")


def test_pages(mine: FlaskClient, seed: Seed, name: str, database: Database) -> None:
    with database.transaction() as session:
        first = session.scalars(select(AccountingFile).where(AccountingFile.name == name)).one()
        for sequence in range(2, 27):
            copied = {
                column.key: getattr(first, column.key)
                for column in AccountingFile.__table__.columns
                if column.key != "id"
            }
            session.add(
                AccountingFile(**{**copied, "sequence": sequence, "name": f"file-{sequence}"})
            )
    page = mine.get("/accounting").text
    assert "file-26" in page and "file-2<" not in page and name not in page
    older = re.search(r'href="(/accounting\?before=\d+)" rel="next"', page)
    assert older is not None
    page = mine.get(older[1]).text
    assert f"/accounting/files/{name}" in page and "file-26" not in page
    for odd in ("0", "x", "99999999999999999999"):
        assert "file-26" in mine.get(f"/accounting?before={odd}").text


def test_a_key(mine: FlaskClient, theirs: FlaskClient, database: Database) -> None:
    answer = mine.post("/accounting/keys", data={"key": f"{KEY} {HOSTILE}"})
    assert answer.status_code == 302
    page = mine.get("/accounting").text
    found = FINGERPRINT.search(page)
    assert found is not None
    assert HOSTILE not in page
    assert "SHA256:0123 (ED25519)" in page
    assert mine.post("/accounting/keys", data={"key": KEY}).status_code == 400
    assert theirs.post(
        "/accounting/keys/remove", data={"fingerprint": found[0]}
    ).status_code == 404  # fmt: skip
    mine.post("/accounting/keys/remove", data={"fingerprint": found[0]})
    assert f"The key {found[0]} is removed" in mine.get("/accounting").text
    assert found[0] not in mine.get("/accounting").text
    with database.session() as session:
        assert session.scalars(select(SftpAccess)).one().keys == []
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert actions == ["accounting.add_key", "accounting.remove_key"]


@pytest.mark.parametrize("key", ["", "x", f"command=x {KEY}", "-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_key_stays_in_the_form(mine: FlaskClient, key: str) -> None:
    answer = mine.post("/accounting/keys", data={"key": key})
    assert answer.status_code == 400
    assert 'id="key-error"' in answer.text
    assert key in answer.text


def test_a_password_is_shown_once(mine: FlaskClient, database: Database) -> None:
    answer = mine.post("/accounting/password")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    found = re.search(r'id="new-password">([^<]+)<', answer.text)
    assert found is not None
    with database.session() as session:
        row = session.scalars(select(SftpAccess)).one()
        assert row.password_hash is not None
        assert bcrypt.checkpw(found[1].encode(), row.password_hash.encode())
        assert found[1] not in str(session.scalars(select(AuditEntry)).one().detail)
    page = mine.get("/accounting").text
    assert row.username in page and found[1] not in page
    assert mine.post("/accounting/password/remove").status_code == 302
    assert mine.post("/accounting/password/remove").status_code == 404


def test_a_plan_without_it(mine: FlaskClient, seed: Seed, database: Database, name: str) -> None:
    _without_feature(database, seed)
    page = mine.get("/accounting").text
    assert "Your plan has no accounting log" in page
    assert "Add key" not in page
    with mine.get(f"/accounting/files/{name}") as answer:
        assert answer.status_code == 200, "what was written stays until retention"
    assert mine.post("/accounting/keys", data={"key": KEY}).status_code == 400
    assert mine.post("/accounting/password").status_code == 400
