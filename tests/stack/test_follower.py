"""A short form of bench/follower.py: the log's worker is killed, stopped and robbed of a log."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import follower

pytestmark = [
    pytest.mark.alone, pytest.mark.rest, pytest.mark.one_engine, pytest.mark.timeout(300),
]  # fmt: skip


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not the session's: it gets a stack of its own."""
    made = Path(tempfile.mkdtemp(prefix="franking-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_no_event_is_missed_or_doubled(directory: Path) -> None:
    figures = follower.run(directory, "sqlite", follower.PROFILES["short"])
    assert figures["attempts"] > 50, figures
    assert figures["kills"] >= follower.PROFILES["short"].kills
    assert follower.wrong(figures) == [], figures
