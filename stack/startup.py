"""Waits until every process answers, or says which one does not and why.

A process that keeps ending is restarted by circus for ever; here that is a failed start, and the
last lines of its log are the reason.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from stack import StackError, lifetime, probes, supervisor
from stack.instance import Instance

PATIENCE = 60.0  # seconds
CHANGES = 3  # that often another pid, or none, and it is not going to work
SETTLED = 1.0  # seconds with one pid, for a process that cannot be probed
TAIL = 15  # lines


class Watch:
    """What has been seen of each process so far."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._waiting = {
            watched.name: "did not start" for watched in supervisor.processes(instance)
        }
        self._pids: dict[str, list[int]] = {}
        self._since: dict[str, float] = {}
        self._changes: Counter[str] = Counter()

    def look(self) -> None:
        """Once over all; raises StackError for one that does not stay up."""
        for name, pids in supervisor.pids(self._instance).items():
            if pids != self._pids.get(name) or not pids:
                self._pids[name], self._since[name] = pids, time.monotonic()
                self._changes[name] += 1
            if self._changes[name] > CHANGES:
                raise StackError(f"{name} does not stay up.\n{self._tail(name)}")
        for name in list(self._waiting):
            try:
                self._probe(name)
                del self._waiting[name]
            except OSError as error:
                self._waiting[name] = str(error) or type(error).__name__

    def _probe(self, name: str) -> None:
        if name in probes.ALL:
            probes.ALL[name](self._instance)
        elif time.monotonic() - self._since.get(name, time.monotonic()) < SETTLED:
            raise ConnectionError("does not stay up")

    @property
    def ready(self) -> bool:
        return not self._waiting

    def explain(self) -> str:
        return "\n".join(
            f"{name} does not answer: {why}\n{self._tail(name)}"
            for name, why in self._waiting.items()
        )

    def _tail(self, name: str) -> str:
        logs = [self._instance.log / f"{name}.log"]
        if name == "postfix":
            logs.append(self._instance.mail_log)
        return "\n".join(f"--- {log}\n{last_lines(log)}" for log in logs if log.exists())


def last_lines(log: Path, count: int = TAIL) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def wait_until_up(instance: Instance, circusd: int) -> None:
    """Raises StackError when something is not there after PATIENCE seconds."""
    watch = Watch(instance)
    deadline = time.monotonic() + PATIENCE
    while not watch.ready:
        if lifetime.reap(circusd, block=False):
            log = instance.log / "circus.log"
            raise StackError(f"circusd ended.\n--- {log}\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise StackError(watch.explain())
        watch.look()
        time.sleep(0.1)
