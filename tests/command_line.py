"""`franking`, as an operator types it; the fixtures are in tests/franking/conftest.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from franking.cli import main


class Cli:
    def __init__(self, settings: Path) -> None:
        self.settings = settings

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--settings", str(self.settings), *arguments])

    def ok(self, *arguments: str) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def text(self, *arguments: str) -> str:
        """What people read."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code in (1, 2), result.output
        assert "Traceback" not in result.output
        return result.output
