"""Reads the mail log line by line, over rotation, truncation and our own restarts.

A *position* is (inode, offset, hash of the file's first line); the caller stores it with what the
lines caused.  Rotation is `mv` and, a moment later, a new file (`postfix logrotate`); postlogd
may write to the old file until it has got its HUP, so the follower leaves a file only after it
has been at its end for `SETTLE` seconds since the next one appeared.
Lines come once and in order.  Where that cannot be promised (the file of the position is gone or
was cut, a torn last line) the batch says `gap`: evidence may be missing, and nobody may conclude
anything from the absence of a line.  A line without its line feed is not a line yet.
No sleeping in here, and the clock is an argument.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SETTLE = 2.0  # seconds
CHUNK = 1 << 18
LONGEST = 1 << 20  # bytes without a line feed are not a log
FIRST_LINE = 4096


class Position(NamedTuple):
    inode: int
    offset: int
    head: str


class Batch(NamedTuple):
    """`position` is behind the last of `lines`; None while there is no log at all."""

    lines: list[bytes]
    position: Position | None
    gap: bool


class LogFile(NamedTuple):
    path: Path
    inode: int
    modified: int


def files(path: Path) -> list[LogFile]:
    """The rotated logs that are not compressed, oldest first, then the log itself.

    By time of the last write, not by name: local time in a suffix goes back in autumn.
    """
    names = (name for name in path.parent.glob(path.name + ".*") if name.suffix != ".gz")
    rotated = [file for name in names if (file := _entry(name)) is not None]
    rotated.sort(key=lambda file: (file.modified, file.path.name))
    current = _entry(path)
    return [*rotated, current] if current else rotated


def _entry(path: Path) -> LogFile | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return LogFile(path, status.st_ino, status.st_mtime_ns)


class Follower:
    """`read` as often as you like; it never waits."""

    def __init__(self, path: Path, start: Position | None, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._fd: int | None = None
        self._inode = 0
        self._offset = 0
        self._first = b""
        self._next_seen: float | None = None
        self._gap = False
        if start is not None:
            self._resume(start)

    @property
    def position(self) -> Position | None:
        if self._fd is None:
            return None
        return Position(self._inode, self._offset, _digest(self._first))

    def read(self, limit: int) -> Batch:
        """Up to `limit` complete lines, none when there are no new ones."""
        if self._fd is None:
            self._open_oldest()
        lines = self._lines(limit)
        if not lines and self._finished():
            lines = self._lines(limit)  # what was written while we looked
            if not lines:
                self._switch()
                lines = self._lines(limit)
        gap, self._gap = self._gap, False
        return Batch(lines, self.position, gap)

    def before(self, size: int) -> list[bytes]:
        """The complete lines among the last `size` bytes already read of this file."""
        if self._fd is None:
            return []
        start = max(0, self._offset - size)
        lines = os.pread(self._fd, self._offset - start, start).split(b"\n")
        return lines[1 if start else 0 : -1]

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None

    def _resume(self, start: Position) -> None:
        for file in files(self._path):
            if file.inode != start.inode:
                continue
            if self._open(file) and start.head in ("", _digest(self._first)):
                self._offset = start.offset
                return
        self.close()
        self._gap = True  # then everything there is, from the oldest: a replay changes nothing

    def _open_oldest(self) -> None:
        for file in files(self._path)[:1]:
            self._open(file)

    def _open(self, file: LogFile) -> bool:
        """Go over to the start of this file, unless it has been renamed since we looked."""
        try:
            fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if os.fstat(fd).st_ino != file.inode:
            os.close(fd)
            return False
        self.close()
        self._fd, self._inode, self._offset = fd, file.inode, 0
        self._first, self._next_seen = _first_line(fd), None
        return True

    def _lines(self, limit: int) -> list[bytes]:
        if self._fd is None:
            return []
        self._notice_truncation(self._fd)
        size = CHUNK
        while True:
            chunk = os.pread(self._fd, size, self._offset)
            end = chunk.rfind(b"\n") + 1
            if end or len(chunk) < size:
                break
            if size >= LONGEST:
                self._offset += len(chunk)
                self._gap = True
            size = min(2 * size, LONGEST)
        if not end:
            return []
        if not self._first:
            self._first = _first_line(self._fd)
        lines = chunk[: end - 1].split(b"\n")[:limit]
        self._offset += sum(map(len, lines)) + len(lines)
        return lines

    def _notice_truncation(self, fd: int) -> None:
        """Somebody cut the file in place (copytruncate): start again, but say so."""
        same = os.pread(fd, len(self._first), 0) == self._first
        if same and os.fstat(fd).st_size >= self._offset:
            return
        self._offset, self._first, self._gap = 0, b"", True

    def _finished(self) -> bool:
        """There is a next file, and nobody writes to this one any more."""
        following = self._next()
        if following is None:
            self._next_seen = None
            return False
        if following.path != self._path:
            return True  # that one was rotated too, long after this one
        if self._next_seen is None:
            self._next_seen = self._clock()
        return self._clock() - self._next_seen >= SETTLE

    def _next(self) -> LogFile | None:
        if self._fd is None or ((now := _entry(self._path)) and now.inode == self._inode):
            return None
        later = self._later(os.fstat(self._fd).st_mtime_ns)
        return later[0] if later else None

    def _later(self, modified: int) -> list[LogFile]:
        known = files(self._path)
        inodes = [file.inode for file in known]
        if self._inode in inodes:
            return known[inodes.index(self._inode) + 1 :]
        return [file for file in known if file.modified >= modified]  # ours was deleted

    def _switch(self) -> None:
        following = self._next()
        if self._fd is None or following is None:
            return
        status = os.fstat(self._fd)
        lost = status.st_size > self._offset or status.st_nlink == 0  # a torn line, or deleted
        if self._open(following):
            self._gap |= lost


def _first_line(fd: int) -> bytes:
    head = os.pread(fd, FIRST_LINE, 0)
    end = head.find(b"\n") + 1
    return head[:end] if end else head if len(head) == FIRST_LINE else b""


def _digest(first: bytes) -> str:
    return hashlib.sha256(first).hexdigest() if first else ""
