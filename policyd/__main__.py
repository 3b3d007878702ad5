"""policyd: answers Postfix's questions at AUTH, RCPT and DATA until SIGTERM.

Settings: `[policyd]`, `database_url`, `node`, `panel.url` (franking/settings.py).  Exit code 0
after SIGTERM or SIGINT; otherwise 1, with the reason on stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from franking import log
from franking.db import Database
from franking.notify import notify, watchdog_seconds
from franking.settings import Settings, SettingsError, load
from franking.sockets import SocketError, listening
from policyd.journal import Journal
from policyd.server import Server

MOST_FILES = 65_536  # each smtpd process keeps two connections


def main() -> None:
    try:
        settings = load()
        log.configure("policyd", settings.log_level)
        log.started(settings.describe())
        _raise_file_limit()
        asyncio.run(_run(settings))
    except (SettingsError, SocketError, OSError) as error:
        sys.exit(f"policyd: {error}")
    log.stopped()


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.set_exception_handler(_report)
    auth = listening(settings.policyd.auth_socket)
    policy = listening(settings.policyd.policy_socket)
    database = Database(settings.database_url)
    journal = Journal(database, settings.node)
    server = Server(settings, database, journal)
    await server.start(auth, policy)
    async with _watchdog():
        notify("READY=1")
        await stop.wait()
        notify("STOPPING=1")
        await server.stop()
    await asyncio.to_thread(journal.close)
    database.close()


@contextlib.asynccontextmanager
async def _watchdog() -> AsyncIterator[None]:
    """Tells systemd, as long as the event loop turns, that it does."""
    seconds = watchdog_seconds()

    async def beat() -> None:
        while seconds is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(seconds / 3)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.unexpected("event loop", context.get("exception") or RuntimeError(context["message"]))


if __name__ == "__main__":
    main()
