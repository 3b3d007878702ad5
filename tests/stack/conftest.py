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

from franking.db import Database
from franking.models import Base
from stack.cluster import Cluster
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


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, short_directory: Path) -> Iterator[Cluster]:
    """PostgreSQL without a stack: one for each file that asks."""
    directory = short_directory / Path(request.path).stem.removeprefix("test_")
    cluster = Cluster.create(directory)
    yield cluster
    cluster.stop("immediate")
    shutil.rmtree(directory)


@pytest.fixture
def both(cluster: Cluster) -> Iterator[list[Database]]:
    """Two engines, as two nodes have, on empty tables."""
    databases = [Database(cluster.url) for _ in range(2)]
    Base.metadata.create_all(databases[0].engine)
    yield databases
    Base.metadata.drop_all(databases[0].engine)
    for database in databases:
        database.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Database]]:
    """Two engines, as two processes have, on SQLite and then on PostgreSQL; rows stay."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('two')}/franking.db"
    else:
        url = request.getfixturevalue("cluster").url
    databases = [Database(url) for _ in range(2)]
    Base.metadata.create_all(databases[0].engine)
    yield databases
    for database in databases:
        database.close()


@pytest.fixture(scope="session")
def stack(short_directory: Path, engine: str) -> Iterator[RunningStack]:
    with RunningStack.started(short_directory, engine) as running:
        yield running
