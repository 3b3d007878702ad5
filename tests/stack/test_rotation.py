"""`franking dkim rotate` on a running node: mail before and after verifies, each with its key."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import verifiers
from sessions import log_in, offer

from franking.accounts import account as accounts
from franking.domains import ownership
from franking.domains.records import quoted
from stack.running import RunningStack, Sender
from tests.dns.fakedns import FakeDns

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]


@pytest.fixture(scope="module")
def world() -> Iterator[FakeDns]:
    with FakeDns({}) as server:
        yield server


@pytest.fixture(scope="module")
def node(short_directory: Path, world: FakeDns) -> Iterator[RunningStack]:
    """A node for which there is one server in the world."""
    settings = {
        "dns": {"resolvers": [str(world)], "authoritative_port": world.port, "ttl": 1},
        "dkim": {"every": 0.1, "zone_ttl": 1},
    }
    place = short_directory / "rotation"
    place.mkdir(mode=0o755)
    with RunningStack.started(place, settings=settings) as running:
        yield running


def states(node: RunningStack, sender: Sender) -> dict[str, str]:
    """Selector → state."""
    with node.database.session() as session:
        domain = ownership.get(session, accounts.get(session, sender.account), sender.domain)
        return {key.selector: key.state for key in ownership.keys_of(session, domain)}


def publish(world: FakeDns, sender: Sender, keys: list[dict[str, Any]]) -> dict[str, str]:
    """As the customer does; what a verifier sees from then on."""
    records = {key["record"]: key["value"] for key in keys}
    world.set_zone(
        sender.domain, "".join(f"{name}. TXT {quoted(text)}\n" for name, text in records.items())
    )
    return records


def test_by_hand(node: RunningStack, world: FakeDns) -> None:
    sender = node.sender("rotating")
    ((old, _),) = states(node, sender).items()
    with log_in(node, sender) as client:
        offer(client, sender, to="before@example.net")
        keys = node.cli("dkim", "rotate", sender.domain, "--account", sender.account)
        (new,) = [key["selector"] for key in keys if key["state"] == "pending"]
        offer(client, sender, to="meanwhile@example.net")
        records = publish(world, sender, keys)
        with contextlib.suppress(subprocess.CalledProcessError):  # its ownership is not published
            node.cli("domain", "check", sender.domain, "--account", sender.account)
        node.until(lambda: states(node, sender) == {old: "retiring", new: "active"})
        offer(client, sender, to="after@example.net")
    for to, selector in (("before", old), ("meanwhile", old), ("after", new)):
        content = node.delivered(f"{to}@example.net").content
        assert verifiers.dkimpy(content, records) == [True]
        assert re.findall(rb"\bs=([^;]+);", content)[:1] == [selector.encode()]
