"""Logging in and out."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from franking.accounts.models import User
from franking.db import Database
from franking.settings import Settings, SettingsError
from tests.webpanel.conftest import browser
from tests.webpanel.seed import EMAIL, PASSWORD
from webpanel import create_app


def test_with_the_token_of_the_page(strict: Flask) -> None:
    client = browser(strict)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert found is not None
    data = {"email": EMAIL, "password": PASSWORD, "csrf_token": found[1]}
    answer = client.post("/login", data=data, headers={"Referer": "https://localhost/login"})
    assert (answer.status_code, answer.location) == (302, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    assert client.get("/").status_code == 200


def test_the_stored_hash_stays(mine: FlaskClient, database: Database) -> None:
    """Flask-Security would replace a hash whose parameters are not its own."""
    with database.session() as session:
        user = session.query(User).filter_by(email=EMAIL).one()
        assert user.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    application = mine.application
    with application.app_context():
        from flask_security.proxies import _pwd_context

        assert not _pwd_context.needs_update(user.password)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong"), ("nobody@franking.test", PASSWORD), ("", ""), ("no address", PASSWORD)],
)
def test_wrong(nobody: FlaskClient, email: str, password: str) -> None:
    answer = nobody.post("/login", data={"email": email, "password": password})
    assert 'role="alert"' in answer.text
    assert nobody.get("/").status_code == 302


def test_wrong_password_and_unknown_address_are_told_the_same(nobody: FlaskClient) -> None:
    def said(email: str) -> str:
        page = nobody.post("/login", data={"email": email, "password": "wrong password"}).text
        return page.replace(email, "")

    assert said(EMAIL) == said("nobody@franking.test")


def test_leads_back_but_not_away(nobody: FlaskClient) -> None:
    data = {"email": EMAIL, "password": PASSWORD}
    wanted = nobody.get("/messages?status=bounced").location
    assert nobody.post(wanted, data=data).location == "/messages?status=bounced"
    nobody.post("/logout")
    assert "evil" not in (nobody.post("/login?next=https://evil.test/", data=data).location or "")


def test_logout(mine: FlaskClient) -> None:
    assert mine.get("/logout").status_code == 405
    assert mine.post("/logout").status_code == 302
    assert mine.get("/").status_code == 302


def test_an_inactive_user_is_out(mine: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        session.query(User).filter_by(email=EMAIL).one().active = False
    assert mine.get("/").status_code == 302


def test_a_secret_key_is_needed(settings: Settings) -> None:
    short = settings.model_copy(update={"panel": type(settings.panel)()})
    with pytest.raises(SettingsError, match="secret_key"):
        create_app(short)
