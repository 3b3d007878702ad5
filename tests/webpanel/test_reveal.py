"""Seeing a secret again: where the operator allows it, with the password, each time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database
from franking.settings import Credentials, Settings, SettingsError
from tests.webpanel.conftest import browser
from tests.webpanel.seed import EMAIL, OTHER_EMAIL, PASSWORD, Seed
from webpanel import create_app


@contextmanager
def _panel(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.config.update(PREFERRED_URL_SCHEME="https", WTF_CSRF_ENABLED=False)
    yield app
    app.extensions["franking.database"].close()


@pytest.fixture
def revealing(settings: Settings, seed: Seed) -> Iterator[Flask]:
    with _panel(settings.model_copy(update={"credentials": Credentials(reveal=True)})) as app:
        yield app


def _create(client: FlaskClient) -> tuple[str, str]:
    """User name and secret."""
    page = client.post("/credentials", data={"name": "kept", "mode": "live", "stream": "s"}).text
    found = re.search(r'id="new-username">([^<]+)<.*id="new-secret">([^<]+)<', page, re.S)
    assert found is not None
    return found[1], found[2]


def test_with_the_password_and_not_without(revealing: Flask, database: Database) -> None:
    client = browser(revealing, EMAIL)  # a fresh login is not enough
    username, secret = _create(client)
    path = f"/credentials/{username}/reveal"
    assert path in client.get(f"/credentials/{username}").text
    assert 'type="password"' in client.get(path).text

    for password in ("", "wrong", secret):
        refused = client.post(path, data={"password": password})
        assert refused.status_code == 400
        assert secret not in refused.text
        assert 'id="password-error"' in refused.text
    answer = client.post(path, data={"password": PASSWORD})
    assert answer.status_code == 200
    assert answer.text.count(secret) == 1
    assert answer.headers["Cache-Control"] == "no-store"
    assert secret not in str(answer.headers)
    assert secret not in client.get(path).text, "and the next time it asks again"

    stranger = browser(revealing, OTHER_EMAIL)
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, data={"password": PASSWORD}).status_code == 404
    with database.session() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [e.action for e in entries] == ["credential.create", "credential.reveal"]
        assert (entries[1].actor, entries[1].detail["username"]) == (EMAIL, username)
        assert secret not in str([e.detail for e in entries])


def test_after_a_rotation_it_is_the_new_one(revealing: Flask) -> None:
    client = browser(revealing, EMAIL)
    username, old = _create(client)
    page = client.post(f"/credentials/{username}/rotate", data={"days": "1"}).text
    shown = client.post(f"/credentials/{username}/reveal", data={"password": PASSWORD}).text
    found = re.search(r'id="secret">([^<]+)<', shown)
    assert found is not None
    assert found[1] in page
    assert found[1] != old


@pytest.mark.parametrize("ended", ["not kept", "revoked"])
def test_where_there_is_nothing_to_show(revealing: Flask, seed: Seed, ended: str) -> None:
    client = browser(revealing, EMAIL)
    username = seed.credential.credential.username  # made while secrets were not kept
    if ended == "revoked":
        username, _ = _create(client)
        client.post(f"/credentials/{username}/revoke")
    path = f"/credentials/{username}/reveal"
    assert path not in client.get(f"/credentials/{username}").text
    assert client.get(path).status_code == 404
    assert client.post(path, data={"password": PASSWORD}).status_code == 404


def test_where_the_operator_keeps_none(mine: FlaskClient) -> None:
    username, secret = _create(mine)
    path = f"/credentials/{username}/reveal"
    assert path not in mine.get(f"/credentials/{username}").text
    assert mine.get(path).status_code == 404
    answer = mine.post(path, data={"password": PASSWORD})
    assert answer.status_code == 404
    assert secret not in answer.text


def test_when_the_operator_changes_their_mind(
    revealing: Flask, settings: Settings, seed: Seed
) -> None:
    username, secret = _create(browser(revealing, EMAIL))
    with _panel(settings) as app:
        answer = browser(app, EMAIL).post(
            f"/credentials/{username}/reveal", data={"password": PASSWORD}
        )
        assert answer.status_code == 404
        assert secret not in answer.text


def test_keeping_needs_a_master_key(settings: Settings) -> None:
    update = {"credentials": Credentials(reveal=True), "master_key": SecretStr("")}
    with pytest.raises(SettingsError, match="master_key"):
        create_app(settings.model_copy(update=update))
