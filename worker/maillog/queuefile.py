"""What Postfix's queue says about a queue ID.

A queue file is committed when its owner bits are 0700; before that cleanup writes it with 0600
(global/mail_open_ok.c, global/mail_stream.c).  cleanup holds it open until it is committed or
removed and nobody opens an uncommitted one, so 0600 and not open means: its cleanup was killed.
Seeing other processes' open files needs root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from franking import log

# `corrupt` and `maildrop` (after postsuper -r) hold what was committed before.
QUEUES = ("incoming", "active", "deferred", "hold", "maildrop", "corrupt")
READY = stat.S_IRWXU
HASH_DEPTH = 2  # hash_queue_depth is 1 by default; a level of a hash is one hexadecimal digit


class State(Enum):
    COMMITTED = "committed"
    WRITING = "being written"
    ORPHAN = "left by a killed cleanup"
    ABSENT = "absent"


IsOpen = Callable[[os.stat_result], bool]


class Queue:
    def __init__(self, directory: Path, is_open: IsOpen | None = None) -> None:
        self._directory = directory
        self._is_open = is_open or is_open_somewhere

    def look(self, queue_id: str) -> tuple[State, Path | None]:
        """Twice, because qmgr moves files from queue to queue while we look."""
        found = self._find(queue_id) or self._find(queue_id)
        if found is None:
            return State.ABSENT, None
        path, status = found
        if status.st_mode & READY == READY:
            return State.COMMITTED, path
        return (State.WRITING if self._is_open(status) else State.ORPHAN), path

    def name(self, path: Path) -> str:
        """Of the queue that a path from `look` is in."""
        return path.relative_to(self._directory).parts[0]

    def _find(self, queue_id: str) -> tuple[Path, os.stat_result] | None:
        for directory in self._directories():
            path = directory / queue_id
            try:
                return path, path.lstat()
            except FileNotFoundError:
                continue
        return None

    def _directories(self) -> list[Path]:
        found = []
        level = [self._directory / queue for queue in QUEUES]
        for _ in range(HASH_DEPTH + 1):
            found += level
            level = [below for directory in level for below in _hashes(directory)]
        return found


def _hashes(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as entries:
            return [Path(e.path) for e in entries if len(e.name) == 1 and e.is_dir()]
    except FileNotFoundError:
        return []


def is_open_somewhere(wanted: os.stat_result) -> bool:
    """Whether a live process has the file open; True also when that cannot be seen."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(_same(fd, wanted) for fd in (process / "fd").iterdir()):
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        except PermissionError:
            log.open_files_hidden(int(process.name))
            return True
    return False


def _same(fd: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(fd.stat(), wanted)
    except OSError:
        return False
