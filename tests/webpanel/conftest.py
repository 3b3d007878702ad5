"""The panel on a seeded database, and browsers (test clients) with and without a login.

CSRF is off in `app`, so that tests can POST without reading a token first; `strict` is the
application as it runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from franking.db import Database
from franking.settings import Settings
from tests.webpanel import seed as seeds
from webpanel import create_app


@pytest.fixture
def seed(database: Database) -> seeds.Seed:
    return seeds.seed(database)


@pytest.fixture
def strict(seed: seeds.Seed, settings: Settings) -> Iterator[Flask]:
    application = create_app(settings)
    application.config["PREFERRED_URL_SCHEME"] = "https"  # of test requests
    yield application
    application.extensions["franking.database"].close()


@pytest.fixture
def app(strict: Flask) -> Flask:
    strict.config["WTF_CSRF_ENABLED"] = False
    return strict


def browser(app: Flask, email: str | None = None) -> FlaskClient:
    """A client on https; logged in when an address is given.  Needs CSRF off for that."""
    client = app.test_client()
    if email is not None:
        answer = client.post("/login", data={"email": email, "password": seeds.PASSWORD})
        assert answer.status_code == 302, answer.text
    return client


@pytest.fixture
def nobody(app: Flask) -> FlaskClient:
    return browser(app)


@pytest.fixture
def mine(app: Flask) -> FlaskClient:
    return browser(app, seeds.EMAIL)


@pytest.fixture
def theirs(app: Flask) -> FlaskClient:
    return browser(app, seeds.OTHER_EMAIL)
