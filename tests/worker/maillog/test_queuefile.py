from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.maillog.queuefile import Queue, State, is_open_somewhere

QID = "4jWnPz0hWRzJ9t9"


def put(directory: Path, queue: str, mode: int) -> Path:
    path = directory / queue / QID
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize("queue", ["incoming", "active", "deferred/A", "hold", "deferred/0/F"])
def test_a_committed_file_is_found_in_every_queue(tmp_path: Path, queue: str) -> None:
    path = put(tmp_path, queue, 0o700)
    assert Queue(tmp_path).look(QID) == (State.COMMITTED, path)


def test_nothing(tmp_path: Path) -> None:
    put(tmp_path, "defer/A", 0o600)  # bounce logs are named like their message
    put(tmp_path, "bounce", 0o600)
    assert Queue(tmp_path).look(QID) == (State.ABSENT, None)


def test_not_committed(tmp_path: Path) -> None:
    path = put(tmp_path, "incoming", 0o600)
    with path.open():
        assert Queue(tmp_path).look(QID) == (State.WRITING, path)
    assert Queue(tmp_path).look(QID) == (State.ORPHAN, path)


def test_a_file_moved_while_looking_is_found_the_second_time(tmp_path: Path) -> None:
    path = put(tmp_path, "deferred/A", 0o700)

    class Moving(Queue):
        looks = 0

        def _find(self, queue_id: str) -> tuple[Path, os.stat_result] | None:
            self.looks += 1
            return super()._find(queue_id) if self.looks > 1 else None

    assert Moving(tmp_path).look(QID) == (State.COMMITTED, path)


def test_open_in_another_process(tmp_path: Path) -> None:
    path = put(tmp_path, "incoming", 0o600)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.open(path, os.O_RDWR)
        os.write(writing, b"x")
        os.read(os.pipe()[0], 1)  # until killed
    os.read(reading, 1)
    assert is_open_somewhere(path.stat())
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert not is_open_somewhere(path.stat())
    os.close(reading)
    os.close(writing)
