"""Whether the time of day can be believed, before a record is removed because its time has come.

What has jumped, by the machine's own counter or since the last look of any node, may be wrong and
is set right by people who notice.  So nothing is removed for a day after a jump.  What cannot be
told is a clock that was wrong before the first look ever, and a restart within that day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from franking import log

JUMP = 3600.0  # seconds
GAP = timedelta(days=2)  # between two looks: longer than most outages, less than `keep_days`
DOUBT = 86400.0  # seconds


class Watch:
    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ahead = self._by_counter()
        self._doubtful_until = float("-inf")

    def believed(self, last: datetime | None) -> bool:
        """`last`: about when somebody has looked before, None if never."""
        ahead, now = self._by_counter(), self._clock()
        jumped = ahead - self._ahead
        self._ahead = ahead
        if abs(jumped) <= JUMP and last is not None and now - last > GAP:
            jumped = (now - last).total_seconds()
        if abs(jumped) > JUMP:
            log.clock_jumped(jumped)
            self._doubtful_until = self._monotonic() + DOUBT
        return self._monotonic() >= self._doubtful_until

    def _by_counter(self) -> float:
        return self._clock().timestamp() - self._monotonic()
