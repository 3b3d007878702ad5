"""The parent, in a process of its own, with children that only wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

PROGRAM = """
import os, signal, socket, sys
from franking import log
from milterd.prefork import Prefork

log.configure("milterd")

def work():
    os.write(1, f"{os.getpid()}\\n".encode())
    if sys.argv[1:] == ["fail"]:
        raise SystemExit(1)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        signal.pause()

listener = socket.socket(socket.AF_UNIX)
Prefork(listener, work, workers=2, memory_limit=1 << 30).run(lambda: os.write(1, b"ready\\n"))
"""


class Parent:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": "milter"},
        )

    def lines(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().decode().strip() for _ in range(count)]

    def children(self) -> list[int]:
        return [int(line) for line in self.lines(3) if line != "ready"]


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    made.process.kill()
    made.process.communicate()


def alive(pid: int) -> bool:
    """A zombie that nobody collects in a container does not live."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_replaced(parent: Parent) -> None:
    first, second = parent.children()
    os.kill(first, signal.SIGKILL)
    (replacement,) = map(int, parent.lines(1))
    assert replacement not in (first, second)
    assert alive(second)


def test_sigterm_ends_all(parent: Parent) -> None:
    children = parent.children()
    parent.process.terminate()
    assert parent.process.wait(10) == 0
    assert not any(map(alive, children))


def test_no_child_survives_a_killed_parent(parent: Parent) -> None:
    children = parent.children()
    parent.process.kill()
    parent.process.wait(10)
    deadline = time.monotonic() + 5
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.01)  # the kernel sends no event to a stranger
    assert not any(map(alive, children))


def test_children_that_fail_to_start_are_tried_again_ever_slower() -> None:
    parent = Parent("fail")
    started = time.monotonic()
    parent.lines(3 + 4)  # the first two and "ready"; then after 0.1, 0.2, 0.4, … seconds
    assert time.monotonic() - started > 0.3
    parent.process.terminate()
    assert parent.process.wait(10) == 0
    parent.process.communicate()
