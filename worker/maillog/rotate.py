"""Keeps the mail log small: rotates it by size, compresses what was read, deletes what is old.

`postfix logrotate` renames the log and tells postlogd; its compressor must be /bin/true
(`maillog_file_compressor`), or it would compress what the follower has not read.  In 3.7.11 it
renames to `<maillog_file>.<date>` (`maillog_file_rotate_suffix`, %Y%m%d-%H%M%S), sends master a
HUP, sleeps a second and starts the compressor (conf/postfix-script).
Only files before the stored position are compressed.  Commands run beside the worker, one at a
time: neither that second nor gzip's many may keep events waiting.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from franking import log
from worker.maillog.follow import files

DAY = 86_400.0

Start = Callable[[list[str]], "subprocess.Popen[bytes]"]


def start_quietly(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


class Rotation:
    def __init__(
        self, path: Path, config_directory: Path, *, rotate_bytes: int, keep_days: int,
        start: Start = start_quietly, time_of_day: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._path = path
        self._config_directory = config_directory
        self._rotate_bytes = rotate_bytes
        self._keep = keep_days * DAY
        self._start = start
        self._time = time_of_day
        self._running: tuple[list[str], subprocess.Popen[bytes]] | None = None

    def look(self, inode: int) -> None:
        """Do the next thing that is due; `inode` is the file of the stored position."""
        if self._busy():
            return
        self._delete_old()
        read = self._read_files(inode)
        if read:
            self._run(["nice", "gzip", "--force", "--", str(read[0])])
        elif self._is_large(inode):
            self._run(["postfix", "-c", str(self._config_directory), "logrotate"])

    def wait(self) -> None:
        """Until what was started has ended."""
        if self._running is not None:
            self._running[1].wait()
            self._busy()

    def _read_files(self, inode: int) -> list[Path]:
        known = files(self._path)
        inodes = [file.inode for file in known]
        return [file.path for file in known[: inodes.index(inode)]] if inode in inodes else []

    def _is_large(self, inode: int) -> bool:
        """Only the file that is being read: two rotations in a row need no hurry."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return 0 < self._rotate_bytes < status.st_size and status.st_ino == inode

    def _delete_old(self) -> None:
        limit = self._time() - self._keep
        for path in self._path.parent.glob(self._path.name + ".*.gz"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)

    def _run(self, command: list[str]) -> None:
        try:
            self._running = (command, self._start(command))
        except OSError as error:
            log.command_failed(command, error)

    def _busy(self) -> bool:
        if self._running is None:
            return False
        command, process = self._running
        if process.poll() is None:
            return True
        _, errors = process.communicate()
        self._running = None
        if process.returncode:
            text = errors.decode(errors="replace")[:200]
            log.command_failed(command, OSError(process.returncode, text))
        return False
