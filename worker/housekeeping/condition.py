"""How this node is doing: the length and age of its queue, and its load.

Cheap whatever the size of the queue: names are counted up to a bound, and only the first files'
times are read.  A file's modification time is when it could be delivered (its arrival, or the
retry that was planned for it: global/mail_queue.h), so its age is how long it has been waiting
for its turn, not how long its recipient's server has been away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from franking.nodes.nodes import Condition

COUNTED = 20_000  # files of one queue
TIMED = 1_000  # files of one queue
WAITING = ("incoming", "active")  # what could be delivered now
OTHERS = ("deferred", "hold")


def measure(queue_directory: Path, now: float) -> Condition:
    """`now` in seconds since 1970, as files' times are."""
    waiting = {name: list(islice(_files(queue_directory / name), COUNTED)) for name in WAITING}
    others = sum(sum(1 for _ in islice(_files(queue_directory / name), COUNTED)) for name in OTHERS)
    count = sum(map(len, waiting.values()))
    times = [time for files in waiting.values() for time in _times(files[:TIMED])]
    return Condition(
        queued=count + others,
        waiting=count,
        oldest_seconds=max(0.0, now - min(times, default=now)),
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
    )


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Queue files below this directory, which may be hashed by single digits."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if len(entry.name) == 1:
                    yield from _files(Path(entry.path))
                else:
                    yield entry
    except (FileNotFoundError, NotADirectoryError):
        return


def _times(files: list[os.DirEntry[str]]) -> Iterator[float]:
    for file in files:
        try:
            yield file.stat(follow_symlinks=False).st_mtime
        except FileNotFoundError:
            continue  # delivered meanwhile
