"""Who belonged to a closed account: the session ends, and no other one begins."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from franking.accounts import account as accounts
from franking.db import Database, utcnow
from tests.webpanel import seed as seeds


def test_nobody_of_a_closed_account_is_let_in(
    app: Flask, database: Database, mine: FlaskClient, theirs: FlaskClient
) -> None:
    assert mine.get("/").status_code == theirs.get("/").status_code == 200
    with database.transaction() as session:
        accounts.close(session, accounts.get(session, "mine"), utcnow())
    assert mine.get("/").status_code == 302
    again = app.test_client().post(
        "/login", data={"email": seeds.EMAIL, "password": seeds.PASSWORD}
    )
    assert again.status_code == 200, "the form, once more"
    assert theirs.get("/").status_code == 200
