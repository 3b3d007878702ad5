"""Database work in threads, bounded in every direction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policyd.authenticate import Unavailable
from policyd.pool import WAITING_PER_THREAD, Pool


@pytest_asyncio.fixture
async def stuck() -> AsyncIterator[tuple[Pool, threading.Event]]:
    """A pool of one thread, which is stuck until the event is set."""
    pool, release, entered = Pool(1, timeout=0.2), threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        release.wait()

    task = asyncio.create_task(pool.run(work))
    await asyncio.to_thread(entered.wait)
    yield pool, release
    release.set()
    with pytest.raises(Unavailable):
        await task
    pool.close()


async def test_answers_and_exceptions_come_back() -> None:
    pool = Pool(2, timeout=5)
    assert await pool.run(int, "12") == 12
    with pytest.raises(ValueError, match="invalid literal"):
        await pool.run(int, "twelve")
    assert await asyncio.gather(*(pool.run(abs, -n) for n in range(50))) == list(range(50))
    pool.close()


async def test_a_stuck_database_is_no_answer_in_time(stuck: tuple[Pool, threading.Event]) -> None:
    with pytest.raises(Unavailable, match="within"):
        await stuck[0].run(abs, 1)


async def test_too_many_waiting_are_sent_away_at_once(
    stuck: tuple[Pool, threading.Event],
) -> None:
    waiting = [asyncio.create_task(stuck[0].run(abs, 1)) for _ in range(WAITING_PER_THREAD)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="are waiting"):
        await stuck[0].run(abs, 1)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}


async def test_it_recovers(stuck: tuple[Pool, threading.Event]) -> None:
    pool, release = stuck
    with pytest.raises(Unavailable):
        await pool.run(abs, 1)
    release.set()
    assert await pool.run(abs, -1) == 1
