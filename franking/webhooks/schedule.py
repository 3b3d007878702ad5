"""When a delivery that was not taken is tried again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

JITTER = 0.1  # of each wait, both ways
# Between the tries: 13 of them in three days.
WAITS = (
    *(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800)),
    *(timedelta(hours=h) for h in (1, 2, 4, 8, 12, 20, 24)),
)


def wait(attempts: int) -> timedelta | None:
    """Until the next try, after so many before this one that failed too; None: there is none."""
    if attempts >= len(WAITS):
        return None
    return WAITS[attempts] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


def upcoming(attempts: int, due_at: datetime) -> list[datetime]:
    """The tries after so many, the next of them at `due_at`, the others give or take the jitter."""
    times = [due_at]
    for each in WAITS[attempts:]:
        times.append(times[-1] + each)
    return times
