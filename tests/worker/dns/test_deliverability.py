"""The hourly look: when, what is kept of it, and the alarm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from franking.db import Database
from franking.deliverability import results
from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from franking.domains import relayzone
from franking.settings import Settings
from tests.dns.fakedns import FakeDns
from tests.franking.deliverability.listener import listener
from worker.dns.deliverability import Deliverability

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
ON = {"enabled": True}
OFF = {"enabled": False}


class Node:
    """`franking-worker dns` of one node, with a clock of its own."""

    def __init__(self, database: Database, base: Settings, world: FakeDns, **more: Any) -> None:
        self.now = START
        dns = Dns(resolvers=(str(world),), authoritative_port=world.port, timeout=1.5)
        settings = Settings.model_validate(base.model_dump() | more)
        self._worker = Deliverability(database, settings, Resolvers(dns), lambda: self.now)

    def look(self, **later: float) -> list[results.Change] | None:
        self.now += timedelta(**later)
        return self._worker.look()


def own(port: int, address: str = "127.0.0.1") -> dict[str, Any]:
    """A node with one listener."""
    return {
        "smtp": {"host": "127.0.0.1", "ports": {"submission": port}},
        "listeners": {"smtp": OFF, "submission": ON, "submissions": OFF, "alternate": OFF},
        "deliverability": {
            "addresses": [address],
            "helo": "out1.relay.test",
            "blocklists": ["bl.list.test"],
        },
    }


@pytest.fixture
def world() -> Any:
    zones = {
        "relay.test": "out1 A 192.0.2.25",
        "2.0.192.in-addr.arpa": "25 PTR out1.relay.test.",
        "bl.list.test": "",
    }
    with FakeDns(zones) as server:
        yield server


def test_every_hour_and_not_at_once(database: Database, settings: Settings, world: FakeDns) -> None:
    with listener() as opened:
        node = Node(database, settings, world, **own(opened.port))
        assert node.look() is None
        assert node.look(minutes=1) is not None
        assert node.look(minutes=59) is None
        assert node.look(minutes=1) == []
    with database.session() as session:
        (report,) = results.load(session)
    assert (report.node, report.checked_at) == ("n1", START + timedelta(minutes=61))


def test_the_alarm_is_raised_once(database: Database, settings: Settings, world: FakeDns) -> None:
    with listener() as opened, structlog.testing.capture_logs() as lines:
        node = Node(database, settings, world, **own(opened.port, "192.0.2.25"))
        node.look(minutes=1)
        lines.clear()
        world.set_zone("bl.list.test", "25.2.0.192 A 127.0.0.3")
        world.set_zone("2.0.192.in-addr.arpa", "")
        for _ in range(3):
            node.look(hours=1)
        assert [(e["event"], e["log_level"], e["name"], e["subject"]) for e in lines] == [
            ("deliverability_worse", "error", "ptr", "192.0.2.25"),
            ("deliverability_worse", "error", "dnsbl", "192.0.2.25 bl.list.test"),
        ]
        lines.clear()
        world.set_zone("2.0.192.in-addr.arpa", "25 PTR out1.relay.test.")
        node.look(hours=1)
        assert [(e["event"], e["name"]) for e in lines] == [("deliverability_better", "ptr")]


def test_a_former_dkim_zone_is_told_once(
    database: Database, settings: Settings, world: FakeDns
) -> None:
    with database.transaction() as session:
        relayzone.put(session, "frank1.k1.old.test", "v=DKIM1; p=1")
    with listener() as opened, structlog.testing.capture_logs() as lines:
        node = Node(database, settings, world, **own(opened.port))
        for _ in range(3):
            node.look(hours=1)
    assert [(e["subject"], e["status"]) for e in lines if e.get("name") == "dkim zone"] == [
        ("former zone", "warn")
    ]


def test_two_nodes_look_at_each_other(
    database: Database, settings: Settings, world: FakeDns
) -> None:
    second = settings.model_copy(update={"node": "n2"})
    with listener() as one, listener() as two:
        nodes = [
            Node(database, settings, world, **own(one.port)),
            Node(database, second, world, **own(two.port)),
        ]
        for _ in range(2):  # first they tell of themselves
            for node in nodes:
                node.look(hours=1)
    with database.session() as session:
        seen = {
            (report.node, finding.subject, finding.status)
            for report in results.load(session)
            for finding in report.findings
            if finding.name in ("reachable", "outside view")
        }
    assert seen == {
        ("n1", f"127.0.0.1:{one.port} from n2", "ok"),
        ("n2", f"127.0.0.1:{two.port} from n1", "ok"),
    }
