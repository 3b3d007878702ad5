"""Database work in threads: so many at a time, so many waiting, so long each.

A stuck database must not exhaust memory.  A question waits here for a free thread, not in the
executor's queue (from which a question that was given up is not removed), and a thread counts as
free only when it has really come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from policyd.authenticate import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

WAITING_PER_THREAD = 32


class Pool:
    def __init__(self, threads: int, timeout: float) -> None:
        """`timeout` in seconds, from the question to the answer."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._free = asyncio.Semaphore(threads)
        self._timeout = timeout
        self._most = threads * (1 + WAITING_PER_THREAD)
        self._asked = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns or raises; Unavailable when that takes too long or too many wait."""
        if self._asked >= self._most:
            raise Unavailable(f"{self._asked} questions are waiting for the database")
        self._asked += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
                future = self._executor.submit(work, *args, **kwargs)
                future.add_done_callback(self._returned(asyncio.get_running_loop()))
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise Unavailable(f"no answer within {self._timeout} s") from error
        finally:
            self._asked -= 1

    def close(self) -> None:
        """Does not wait for threads that have not come back."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _returned(self, loop: asyncio.AbstractEventLoop) -> Callable[[Future[T]], None]:
        def callback(_: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._free.release)

        return callback
