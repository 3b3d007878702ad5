"""Two minutes of bench/chaos.py: everything is killed, nothing is lost, doubled or left open."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import chaos, chaos_figures

pytestmark = [pytest.mark.alone, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not the session's: it gets a stack of its own, with failpoints."""
    made = Path(tempfile.mkdtemp(prefix="franking-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_mail_and_money_agree(directory: Path, engine: str) -> None:
    figures = chaos.run(directory, engine, chaos.PROFILES["short"])
    assert figures["accepted"] > 100, figures
    assert set(figures["kills_by_victim"]) == set(chaos.VICTIMS), "all of them were killed"
    assert chaos_figures.wrong(figures) == [], figures
