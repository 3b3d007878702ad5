"""Some deliveries of one endpoint, which a few threads post one after the other.

Claiming costs a transaction, and posting to a fast endpoint a millisecond: so many are claimed at
once.  When one is not taken the rest is left alone, and goes back into the outbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from franking.webhooks.queue import Claimed
from worker.webhooks.post import Target


class Chunk:
    """`threads`: how many are at it; counted by the thread that handed it out."""

    def __init__(
        self, endpoint_id: int, target: Target, claimed: Sequence[Claimed], threads: int
    ) -> None:
        self.endpoint_id = endpoint_id
        self.target = target
        self.threads = min(threads, len(claimed))
        self._left = deque(claimed)
        self._stopped = False

    def next(self, now: datetime, patience: timedelta) -> Claimed | None:
        """One to be posted; None when there is none whose lease lasts as long as that may take."""
        if self._stopped:
            return None
        try:
            claimed = self._left.popleft()
        except IndexError:
            return None
        if claimed.lease <= now + patience:
            self._left.append(claimed)
            self.stop()
            return None
        return claimed

    def stop(self) -> None:
        """No more of it."""
        self._stopped = True

    def rest(self) -> list[Claimed]:
        """What was not posted; once no thread is at it."""
        return list(self._left)
