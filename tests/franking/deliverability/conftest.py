"""A DNS of our own, settings of a node that lives in it, an authority to trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from franking.settings import Settings
from tests.dns.fakedns import FakeDns
from tests.franking.deliverability.listener import AUTHORITY

NOBODY = {"smtp": {"enabled": False}, "submissions": {"enabled": False}} | {
    "submission": {"enabled": False}, "alternate": {"enabled": False}
}  # fmt: skip


@pytest.fixture
def world() -> Iterator[FakeDns]:
    """Empty; a test fills it."""
    with FakeDns({}) as server:
        yield server


@pytest.fixture
def dns(world: FakeDns) -> Dns:
    return Dns(resolvers=(str(world),), authoritative_port=world.port, timeout=1.5)


@pytest.fixture
def lookup(dns: Dns) -> Resolvers:
    return Resolvers(dns)


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def node(settings: Settings, ca_file: Path) -> Callable[..., Settings]:
    """The settings of a node; by keyword, tables of them.  No listener is on unless it is asked
    for, and no list is asked."""

    def make(**tables: Any) -> Settings:
        own = {"ca_file": ca_file, "blocklists": (), "helo": "out1.relay.test", "timeout": 5}
        given = {"listeners": NOBODY} | tables
        given["deliverability"] = own | tables.get("deliverability", {})
        if "smtp" not in tables:
            given["smtp"] = {"host": "127.0.0.1"}
        return Settings.model_validate(settings.model_dump() | given)

    return make
