"""An account's `manifest.jsonl`: which files there are, so that a puller knows it missed nothing.

The first line is about the manifest itself, every other about one file, oldest first:

    {"manifest":1,"account":"acme","written_at":"2026-11-21T22:00:02+00:00"}
    {"name":"events-20261121T2100Z-0000017.jsonl.gz","format":"jsonl","sequence":17,"events":1250,
     "first_event":"evt_4711","last_event":"evt_6001","size":48211,"sha256":"9f…",
     "previous_sha256":"1c…","cut_at":"2026-11-21T22:00:02+00:00"}

Each format is counted from 1 without gaps, and each file names the hash of the one before it; what
retention has removed is missing at the beginning only.  `written_at` moves with every cut: a quiet
account has a fresh manifest and no new file.  `franking.accounting.checking` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from franking.mail.published import name as event_name

VERSION = 1


class Line(NamedTuple):
    """A file; the events in the order of reading, so not always of their numbers."""

    name: str
    format: str
    sequence: int
    events: int
    first_event: int
    last_event: int
    size: int
    sha256: str
    previous_sha256: str | None
    cut_at: datetime


def written(account: str, now: datetime, lines: Iterable[Line]) -> str:
    head = {"manifest": VERSION, "account": account, "written_at": now.isoformat()}
    return "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in (head, *_of(lines)))


def _of(lines: Iterable[Line]) -> Iterable[dict[str, object]]:
    for line in lines:
        yield line._asdict() | {
            "first_event": event_name(line.first_event),
            "last_event": event_name(line.last_event),
            "cut_at": line.cut_at.isoformat(),
        }
