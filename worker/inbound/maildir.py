"""The Maildir that Postfix's virtual(8) delivers into, and the mail in it.

A message is a file in `new/`, complete from the moment it is there (virtual writes in `tmp/` and
renames).  It stays until it is done with, so a crash repeats it.  What cannot be read is set aside
in `unreadable/`, the newest so many, for somebody to look at.  What cannot even be opened, or not
be moved, waits for a while, and then comes after all others.

Whom it was sent to, virtual(8) says in the first Delivered-To; whatever else the message claims to
have been delivered to stands below that.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KEPT_FILES, KEPT_BYTES = 100, 100 << 20  # in unreadable/
RETRY_AFTER = 300.0  # seconds
_BEGINNING = 4096  # octets in which virtual(8) has written whom it is for
_DELIVERED_TO = re.compile(rb"^Delivered-To:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.M | re.I)


@dataclass(frozen=True)
class Mail:
    """`recipient` is in lower case; empty when there is none.  `data` is the whole message, or
    one octet more than was wanted of it.  `arrived` is when Postfix had written it."""

    path: Path
    recipient: str
    data: bytes
    arrived: datetime

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2]

    @property
    def local_part(self) -> str:
        return self.recipient.rpartition("@")[0]


class Maildir:
    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._new = path / "new"
        self._unreadable = path / "unreadable"
        self._clock = clock
        self._failed: dict[str, float] = {}  # name: when it may be tried again

    def waiting(self, limit: int) -> list[Path]:
        """The oldest that are there, those that have failed before last; none while Postfix has
        not delivered anything yet."""
        try:
            with os.scandir(self._new) as entries:
                names = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        except FileNotFoundError:
            names = set()
        self._failed = {name: at for name, at in self._failed.items() if name in names}
        now = self._clock()
        due = [name for name in names if self._failed.get(name, now) <= now]
        due.sort(key=lambda name: (name in self._failed, name))  # names begin with the time
        return [self._new / name for name in due[:limit]]

    def failed(self, path: Path, seconds: float = RETRY_AFTER) -> None:
        """Leave it alone for so long."""
        self._failed[path.name] = self._clock() + seconds

    def read(self, path: Path, longest: int) -> Mail:
        """`longest` in octets."""
        with path.open("rb") as file:
            data = file.read(longest + 1)
            arrived = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        found = _DELIVERED_TO.search(data[:_BEGINNING])
        recipient = found[1].decode("utf-8", "replace").strip("<>").lower() if found else ""
        return Mail(path, recipient, data, arrived)

    def done(self, mail: Mail) -> None:
        mail.path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> None:
        """Keep it to be looked at, and forget the oldest of those that are there."""
        self._unreadable.mkdir(mode=0o700, exist_ok=True)
        path.replace(self._unreadable / path.name)
        for surplus in self._surplus():
            surplus.unlink(missing_ok=True)

    def _surplus(self) -> Iterator[Path]:
        files = sorted(self._unreadable.iterdir(), key=lambda file: file.name, reverse=True)
        size = 0
        for count, file in enumerate(files, 1):
            size += file.stat().st_size
            if count > KEPT_FILES or size > KEPT_BYTES:
                yield file
