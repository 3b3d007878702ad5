"""What is remembered for a while: so many entries, each for its own time, for several threads."""

from __future__ import annotations

import time
from threading import Lock
from typing import Generic, TypeVar

import cachetools

ROOM = 20_000  # entries; those least used make room
LONGEST = 300  # seconds

T = TypeVar("T")


class Remembered(Generic[T]):
    """Nothing is remembered for 0 seconds, nor for more than 300."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: cachetools.TLRUCache[str, tuple[T, float]] = cachetools.TLRUCache(
            ROOM, ttu=lambda _, entry, now: now + entry[1], timer=time.monotonic
        )

    def get(self, key: str) -> T | None:
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: str, value: T, seconds: float) -> None:
        with self._lock:
            self._entries[key] = value, min(seconds, LONGEST)

    def drop(self, key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)
