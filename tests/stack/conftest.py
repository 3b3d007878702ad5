"""One running stack for the session; the scenarios beside this file share it.

A scenario makes an account of its own (`stack.sender("name")`), so that it does not depend on
what others sent.  `--engine postgresql` runs the same scenarios on PostgreSQL.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.running import RunningStack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.postfix)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--engine"))


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """Not `tmp_path`: that is 0700 all the way down, so Postfix's own user could not enter it."""
    directory = Path(tempfile.mkdtemp(prefix="franking-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def stack(short_directory: Path, engine: str) -> Iterator[RunningStack]:
    with RunningStack.started(short_directory, engine) as running:
        yield running
