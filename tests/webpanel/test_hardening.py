"""What Flask-Security and the database would do if nobody stopped them."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from tests.webpanel import seed as seeds


def test_a_token_opens_nothing(app: Flask, seed: seeds.Seed) -> None:
    person = {"email": seeds.EMAIL, "password": seeds.PASSWORD}
    answer = app.test_client().post("/login?include_auth_token", json=person)
    token = answer.json["response"]["user"].get("authentication_token", "none")
    stranger = app.test_client()
    headers = {"Authentication-Token": token}
    assert stranger.get("/messages", headers=headers).status_code == 302
    assert stranger.get("/messages", query_string={"auth_token": token}).status_code == 302
    assert stranger.post("/credentials", data={"name": "x"}, headers=headers).status_code == 302


def test_no_page_of_flask_securitys_own(mine: FlaskClient) -> None:
    assert mine.get("/verify").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/messages?q=%00",
        "/messages?tag=a%00b",
        "/messages?tag=a&tag=%00",
        "/messages/%00",
        "/messages?before=MC8A",
    ],
)
def test_nul_is_the_visitors_fault(mine: FlaskClient, path: str) -> None:
    assert mine.get(path).status_code == 400


@pytest.mark.parametrize("path", ["/", "/nonsense", "/messages"])
def test_the_error_page_needs_no_database(mine: FlaskClient, path: str) -> None:
    app = mine.application
    app.testing = False

    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with app.app_context():
        from webpanel.database import db

        event.listen(db.engine, "before_cursor_execute", fail)
    answer = mine.get(path)
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("path", ["/", "/credentials", "/messages", "/refused"])
def test_column_heads_say_their_scope(mine: FlaskClient, path: str) -> None:
    page = mine.get(path).text
    assert page.count("<th") - page.count("<thead") == page.count("<th scope=")
