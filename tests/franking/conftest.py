"""An instance of its own for each test of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import factories
from tests.command_line import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    settings = tmp_path / "franking.toml"
    settings.write_text(
        f'database_url = "sqlite:///{tmp_path}/f.db"\n'
        f'master_key = "{factories.MASTER_KEY_BASE64}"\n'
    )
    return Cli(settings)


@pytest.fixture
def ready(cli: Cli) -> Cli:
    """After `init`, with one account."""
    cli.ok("init", "--price", "0.002")
    cli.ok("account", "create", "acme")
    return cli
