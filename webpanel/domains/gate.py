"""Who may ask the DNS now: looks take seconds, and the panel has few threads.

One look at a domain every `PAUSE` seconds, one at a time for an account, and `MOST` at once in a
process; whoever comes too early is told so and waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from franking.reasons import Refused

PAUSE = 10.0  # seconds
MOST = 2
REMEMBERED = 10_000  # domains


class TooSoon(Refused):
    """The DNS was asked just now, or is being asked."""


class Gate:
    """Safe to be used by several threads; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._last: dict[int, float] = {}  # by domain, the oldest first
        self._inside: set[int] = set()  # accounts

    @contextmanager
    def passing(self, account_id: int, domain_id: int) -> Iterator[None]:
        """Raises TooSoon with a sentence."""
        with self._lock:
            self._admit(account_id, domain_id)
        try:
            yield
        finally:
            with self._lock:
                self._inside.discard(account_id)

    def _admit(self, account_id: int, domain_id: int) -> None:
        now = self._clock()
        left = self._last.get(domain_id, now - PAUSE) + PAUSE - now
        if account_id in self._inside:
            raise TooSoon("Another look at the DNS of your domains is under way.")
        if left > 0:
            raise TooSoon(f"The DNS was asked just now; try again in {left:.0f} s.")
        if len(self._inside) >= MOST:
            raise TooSoon("Many are asking the DNS at this moment; try again in some seconds.")
        self._inside.add(account_id)
        self._last.pop(domain_id, None)
        self._last[domain_id] = now
        while len(self._last) > REMEMBERED:
            del self._last[next(iter(self._last))]
