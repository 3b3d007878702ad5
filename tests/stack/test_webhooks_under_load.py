"""A minute of bench/webhooks.py: nothing is lost to kill -9, and the dead delay nobody."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import webhooks

pytestmark = [
    pytest.mark.alone,
    pytest.mark.long,
    pytest.mark.timeout(600),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="franking-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_nothing_is_lost_and_nobody_waits(directory: Path, engine: str) -> None:
    with webhooks.database(directory, engine) as url:
        figures = webhooks.run(directory, url, webhooks.PROFILES["short"])
    assert figures["kills"]["events"] > 100, figures
    assert webhooks.wrong(figures) == [], figures
