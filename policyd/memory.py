"""A small bounded memory of what was seen lately.

It belongs to one thread and is lost with the process; nothing depends on more than that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable


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
