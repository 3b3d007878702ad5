"""Small bounded memories: what was seen lately, how often something happened this minute.

They belong to one thread and are lost with the process; nothing depends on more than that.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable

MINUTE = 60.0


class Recent:
    """Remembers up to `size` keys for `seconds`; the oldest is forgotten first."""

    def __init__(self, *, size: int, seconds: float, clock: Callable[[], float]) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def first(self, key: Hashable) -> bool:
        """Whether this key was not seen within `seconds`; from now on it was."""
        now = self._clock()
        seen = self._seen.get(key)
        if seen is not None and now - seen < self._seconds:
            return False
        self._seen[key] = now
        self._seen.move_to_end(key)
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return True


class PerMinute:
    """Admits `limit` per key in each minute, and counts what it did not admit."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._ends = clock() + MINUTE
        self._counts: Counter[int] = Counter()
        self._over: list[tuple[int, int]] = []

    def admit(self, key: int) -> bool:
        if self._clock() >= self._ends:
            self._turn()
        self._counts[key] += 1
        return self._counts[key] <= self._limit

    def capped(self, *, now: bool = False) -> list[tuple[int, int]]:
        """(key, how many were not admitted) of minutes that are over; each is told once."""
        if now:
            self._turn()
        told, self._over = self._over, []
        return told

    def _turn(self) -> None:
        self._over += [(k, n - self._limit) for k, n in self._counts.items() if n > self._limit]
        self._counts.clear()
        self._ends = self._clock() + MINUTE
