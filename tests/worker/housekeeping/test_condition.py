from __future__ import annotations

import os
from pathlib import Path

from worker.housekeeping import condition


def fill(queue: Path, name: str, ages: dict[str, float], now: float) -> None:
    (queue / name).mkdir(parents=True, exist_ok=True)
    for file, age in ages.items():
        path = queue / name / file
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (now - age, now - age))


def test_an_empty_queue(tmp_path: Path) -> None:
    found = condition.measure(tmp_path, 1000.0)
    assert (found.queued, found.waiting, found.oldest_seconds) == (0, 0, 0.0)
    assert found.load >= 0


def test_what_waits_is_incoming_and_active(tmp_path: Path) -> None:
    now = 2_000_000_000.0
    fill(tmp_path, "incoming", {"A1": 5.0, "B1": 7.0}, now)
    fill(tmp_path, "active", {"C1": 30.0}, now)
    fill(tmp_path, "deferred", {"4/D1": 86_400.0, "5/E1": 10.0}, now)
    fill(tmp_path, "hold", {"F1": 900.0}, now)
    found = condition.measure(tmp_path, now)
    assert (found.queued, found.waiting, found.oldest_seconds) == (6, 3, 30.0)


def test_a_clock_that_went_back_makes_no_negative_age(tmp_path: Path) -> None:
    fill(tmp_path, "active", {"C1": -50.0}, 2_000_000_000.0)
    assert condition.measure(tmp_path, 2_000_000_000.0).oldest_seconds == 0.0


def test_a_large_queue_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "deferred/1").mkdir(parents=True)
    source = tmp_path / "deferred/1/first"
    source.touch()
    for number in range(condition.COUNTED + 10):
        os.link(source, tmp_path / f"deferred/1/Q{number}")
    assert condition.measure(tmp_path, 0.0).queued == condition.COUNTED
