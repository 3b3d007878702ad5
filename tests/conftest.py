"""What every test may use: a database of its own, settings for it, short socket paths."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from franking.db import Database
from franking.models import Base
from franking.settings import Panel, Policyd, Settings
from tests import factories

# How many examples hypothesis makes up: few wherever the whole suite runs, and as many as the
# ledger's promise asks for in `script/test --long` (`--hypothesis-profile long`).  No deadlines:
# the machine may be busy.
_patient = [HealthCheck.too_slow, HealthCheck.data_too_large]
hypothesis_settings.register_profile(
    "quick", max_examples=40, deadline=None, suppress_health_check=_patient
)
hypothesis_settings.register_profile(
    "long", max_examples=10_000, deadline=None, suppress_health_check=_patient
)
hypothesis_settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def _sealed() -> None:
    """Settings of an instance on this machine are none of a test's business."""
    for name in [name for name in os.environ if name.startswith("FRANKING_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows, to be copied: creating them takes longer."""
    path = tmp_path_factory.mktemp("empty") / "franking.db"
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    database.close()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Iterator[Database]:
    path = tmp_path / "franking.db"
    shutil.copy(empty_database, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a short name: a Unix socket's path has at most 107 characters."""
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def settings(database: Database, sockets: Path) -> Settings:
    return Settings(
        node="n1",
        database_url=database.engine.url.render_as_string(hide_password=False),
        master_key=SecretStr(factories.MASTER_KEY_BASE64),
        panel=Panel(url="https://panel.example.net", secret_key=SecretStr("x" * 32)),
        policyd=Policyd(
            auth_socket=f"unix:{sockets}/auth", policy_socket=f"unix:{sockets}/policy", threads=2
        ),
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, because pytest reads options from the topmost conftest only."""
    parser.addoption(
        "--engine",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="the database that the tests run on",
    )
