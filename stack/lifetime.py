"""Everything a stack starts ends with it, and nothing else does.

This process makes itself the *subreaper* of its descendants (prctl(2)): whoever loses its parent,
such as Postfix's daemons when master was killed, becomes our child instead of init's.  So "what
we started" is exactly our process tree, at any time.  circusd in turn is told to end when this
process dies, and it ends its children.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import psutil

from stack import StackError

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


class Stopped(BaseException):
    """Ctrl-C or SIGTERM."""


def raise_when_stopped() -> None:
    """From now on a stop signal raises Stopped, once."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        ignore_stop_signals()
        raise Stopped

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def ignore_stop_signals() -> None:
    """A second Ctrl-C must not interrupt the cleaning up."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def start(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Start a child that gets SIGTERM when we die, in a session of its own; returns its pid."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", *command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us to handle
    )
    child.returncode = 0  # reaped by `reap`, not by subprocess
    return child.pid


def reap(pid: int, *, block: bool) -> bool:
    """Bury dead descendants; True when `pid` was among them."""
    while True:
        try:
            dead, _status = os.waitpid(-1, 0 if block else os.WNOHANG)
        except ChildProcessError:
            return True
        if dead == pid:
            return True
        if dead == 0:
            return False


def end(pid: int, patience: float = 20.0) -> None:
    """SIGTERM to the child, then to whatever is left of our process tree, then SIGKILL."""
    ignore_stop_signals()
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while not reap(pid, block=False) and time.monotonic() < deadline:
            time.sleep(0.05)
    except ProcessLookupError:
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = psutil.Process().children(recursive=True)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        psutil.wait_procs(left, timeout=3)


def lock(path: Path) -> IO[str]:
    """Hold the directory while the returned file is open; raises StackError when another does."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise StackError(
            f"this stack is running already (pid {file.read().strip()}); stop it with"
            " script/up --down"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def stop_running(path: Path, patience: float = 40.0) -> bool:
    """SIGTERM to whoever holds the lock, and wait for it to end; False when nobody does."""
    if not path.exists():
        return False
    with path.open("r") as file:
        if _is_free(file):
            return False
        os.kill(int(file.read()), signal.SIGTERM)
        deadline = time.monotonic() + patience
        while not _is_free(file):
            if time.monotonic() > deadline:
                raise StackError(f"it does not end; see {path.parent.parent / 'log'}")
            time.sleep(0.1)
    return True


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True
