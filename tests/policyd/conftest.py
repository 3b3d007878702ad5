"""A running policyd, in this process, on Unix sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from franking.db import Database
from franking.settings import Settings
from franking.sockets import listening
from policyd.journal import Journal
from policyd.server import Server
from tests.policyd.people import populate


@pytest.fixture
def people(database: Database) -> dict[str, str]:
    return populate(database)


@pytest.fixture
def journal(database: Database) -> Iterator[Journal]:
    """After `close` (a second one does nothing) the database holds what it was told."""
    journal = Journal(database, "n1")
    yield journal
    journal.close()


@pytest_asyncio.fixture
async def server(settings: Settings, database: Database, journal: Journal) -> AsyncIterator[Server]:
    server = Server(settings, database, journal)
    await server.start(
        listening(settings.policyd.auth_socket), listening(settings.policyd.policy_socket)
    )
    yield server
    await server.stop()
