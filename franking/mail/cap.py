"""How many refusals of one account become events in a minute.

A client in a loop would otherwise fill the table.  What was not admitted is counted, for the log.
Lost with the process; belongs to one thread, or to whoever holds a lock around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

MINUTE = 60.0
REFUSALS = 60  # per account and minute, in each process


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
