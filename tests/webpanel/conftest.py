"""The panel on a seeded database, and browsers (test clients) with and without a login.

CSRF is off in `app`, so that tests can POST without reading a token first; `strict` is the
application as it runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache

from franking.db import Database
from franking.settings import Settings
from tests.webpanel import seed as seeds
from webpanel import create_app


@pytest.fixture(scope="session")
def seeded(
    empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, seeds.Seed]:
    """A database file to be copied, and what is in it: passwords, keys and an invoice take long."""
    path = tmp_path_factory.mktemp("seeded") / "franking.db"
    shutil.copy(empty_database, path)
    database = Database(f"sqlite:///{path}")
    made = seeds.seed(database)
    database.close()  # which leaves no write-ahead log beside it
    return path, made


@pytest.fixture
def seed(database: Database, seeded: tuple[Path, seeds.Seed]) -> seeds.Seed:
    path, made = seeded
    shutil.copy(path, str(database.engine.url.database))  # nobody has connected yet
    return made


class MemoryBytecode(BytecodeCache):
    """Templates are compiled once for all applications of a test run."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._known.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture(scope="session")
def compiled() -> MemoryBytecode:
    return MemoryBytecode()


@pytest.fixture
def strict(seed: seeds.Seed, settings: Settings, compiled: MemoryBytecode) -> Iterator[Flask]:
    application = create_app(settings)
    application.jinja_env.bytecode_cache = compiled
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
