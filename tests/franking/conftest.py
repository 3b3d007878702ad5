"""An instance of its own for each test of the command line."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests import factories
from tests.command_line import Cli


def _instance(directory: Path) -> Cli:
    settings = directory / "franking.toml"
    settings.write_text(
        f'database_url = "sqlite:///{directory}/f.db"\n'
        f'master_key = "{factories.MASTER_KEY_BASE64}"\n'
    )
    return Cli(settings)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return _instance(tmp_path)


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file to be copied: all the migrations take longer."""
    directory = tmp_path_factory.mktemp("initialised")
    cli = _instance(directory)
    cli.ok("init", "--price", "0.002")
    cli.ok("account", "create", "acme")
    whole = directory / "whole.db"  # without the write-ahead log beside it
    with contextlib.closing(sqlite3.connect(directory / "f.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(whole),))
    return whole


@pytest.fixture
def ready(cli: Cli, initialised: Path) -> Cli:
    """After `init`, with one account."""
    shutil.copy(initialised, cli.settings.with_name("f.db"))
    return cli
