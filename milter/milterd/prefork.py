"""A parent with the listening socket and one process per core behind it.

Python runs one thread at a time, so cores need processes.  The parent only forks, waits and
restarts: it opens no database, starts no thread and parses nothing, so it does not crash.  A child
that was killed or had lived is replaced at once, one that failed to start after growing pauses.
Signals are not handled but waited for, which leaves no moment in which one could get lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from franking import log

AWAITED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
SHORT_LIFE = 5.0  # seconds; ending sooner than that counts as failing to start
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
KNOCK = 0.2  # seconds between two of them
PATIENCE = 10.0  # seconds that children get to end themselves


class Prefork:
    """`work()` is what a child does until it is told to stop; returning ends the child."""

    def __init__(
        self,
        listener: socket.socket,
        work: Callable[[], None],
        *,
        workers: int,
        memory_limit: int,
    ) -> None:
        self._listener = listener
        self._work = work
        self._workers = workers
        self._memory_limit = memory_limit
        self._born: dict[int, float] = {}  # pid → when
        self._pause = FIRST_PAUSE
        self._not_before = 0.0

    def run(self, ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; `ready` is called once all children have been started."""
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
        self._fill()
        ready()
        while self._next_signal() in (None, signal.SIGCHLD):
            self._reap()
            self._fill()
        self._stop()

    def _next_signal(self) -> int | None:
        short = len(self._born) < self._workers
        timeout = max(self._not_before - time.monotonic(), 0.01) if short else 60.0
        found = signal.sigtimedwait(AWAITED, timeout)
        return None if found is None else found.si_signo

    def _fill(self) -> None:
        while len(self._born) < self._workers and time.monotonic() >= self._not_before:
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._child(parent)
            self._born[pid] = time.monotonic()

    def _reap(self, *, expected: bool = False) -> None:
        while self._born:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            born = self._born.pop(pid, None)
            if born is not None and not expected:
                self._ended(pid, os.waitstatus_to_exitcode(status), time.monotonic() - born)

    def _ended(self, pid: int, status: int, lived: float) -> None:
        if status < 0 or lived >= SHORT_LIFE:
            self._pause = FIRST_PAUSE
            self._not_before = 0.0
        else:
            self._not_before = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        log.milter_worker_ended(pid, status, lived)

    def _stop(self) -> None:
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while self._born and time.monotonic() < deadline:
            self._wake()
            signal.sigtimedwait({signal.SIGCHLD}, KNOCK)
            self._reap(expected=True)
        self._send(signal.SIGKILL)

    def _wake(self) -> None:
        """libmilter looks for its end only when poll() returns: every 5 s, or on a connection.

        Not all children need to wake of one: who is fast enough takes it away from the others.
        """
        with socket.socket(self._listener.family) as knock, contextlib.suppress(OSError):
            time.sleep(0.05)  # its signal thread has to note the SIGTERM first
            knock.settimeout(1.0)
            knock.connect(self._listener.getsockname())

    def _send(self, number: signal.Signals) -> None:
        for pid in self._born:
            os.kill(pid, number)

    def _child(self, parent: int) -> NoReturn:
        status = 1
        try:
            _die_with(parent)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())
            if self._memory_limit:
                resource.setrlimit(resource.RLIMIT_AS, (self._memory_limit, self._memory_limit))
            self._work()
            status = 0
        except BaseException as error:
            log.unexpected("milter worker", error)
        finally:
            os._exit(status)


def _die_with(parent: int) -> None:
    """No child survives a killed parent: two generations on one socket would confuse everybody."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
