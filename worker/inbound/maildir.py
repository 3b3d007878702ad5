"""The Maildir that Postfix's virtual(8) delivers into, and the mail in it.

A message is a file in `new/`, complete from the moment it is there (virtual writes in `tmp/` and
renames).  It stays until it is done with, so a crash repeats it.  What cannot be read is set aside
in `unreadable/`, the newest so many, for somebody to look at.

Whom it was sent to, virtual(8) says in the first Delivered-To; whatever else the message claims to
have been delivered to stands below that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEPT_FILES, KEPT_BYTES = 100, 100 << 20  # in unreadable/
_BEGINNING = 4096  # octets in which virtual(8) has written whom it is for
_DELIVERED_TO = re.compile(rb"^Delivered-To:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.M | re.I)


@dataclass(frozen=True)
class Mail:
    """`recipient` is in lower case; empty when there is none.  `data` is the whole message, or
    one octet more than was wanted of it."""

    path: Path
    recipient: str
    data: bytes

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2]

    @property
    def local_part(self) -> str:
        return self.recipient.rpartition("@")[0]


class Maildir:
    def __init__(self, path: Path) -> None:
        self._new = path / "new"
        self._unreadable = path / "unreadable"

    def waiting(self, limit: int) -> list[Path]:
        """The oldest that are there; none while Postfix has not delivered anything yet."""
        try:
            with os.scandir(self._new) as entries:
                found = [entry.path for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        return [Path(path) for path in sorted(found)[:limit]]  # names begin with the time

    def read(self, path: Path, longest: int) -> Mail:
        """`longest` in octets."""
        with path.open("rb") as file:
            data = file.read(longest + 1)
        found = _DELIVERED_TO.search(data[:_BEGINNING])
        recipient = found[1].decode("utf-8", "replace").strip("<>").lower() if found else ""
        return Mail(path, recipient, data)

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
