"""`franking dkim`, as an operator types it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from franking.db import Database
from tests import others
from tests.command_line import Cli
from tests.dns.knot import Knot

ZONE = "keys.relay.test"


@pytest.fixture
def shop(ready: Cli) -> Cli:
    """A verified domain with TXT records, and a zone of the relay's own."""
    ready.ok("domain", "add", "shop.test")
    with ready.settings.open("a") as file:
        file.write(f'[dkim]\nzone = "{ZONE}"\n')
    ready.ok("domain", "verify", "shop.test", "--assume")
    return ready


@pytest.fixture
def knot() -> Iterator[Knot]:
    with Knot({ZONE: ""}) as running:
        yield running


def states(cli: Cli) -> dict[str, str]:
    return {key["selector"]: key["state"] for key in cli.ok("dkim", "status", "shop.test")}


def test_status(shop: Cli) -> None:
    shop.ok("account", "create", "other")
    (key,) = shop.ok("dkim", "status")
    assert (key["domain"], key["state"], key["type"]) == ("shop.test", "active", "TXT")
    assert key["record"] == f"{key['selector']}._domainkey.shop.test"
    assert key["value"].startswith("v=DKIM1; k=rsa; p=") and key["next_at"] > key["activated_at"]
    assert shop.ok("dkim", "status", "--account", "other") == []
    assert key["selector"] in shop.text("dkim", "status", "shop.test", "-a", "acme")
    assert "no domain" in shop.refused("dkim", "status", "stranger.test", "-a", "acme")


def test_rotate_says_what_to_publish(shop: Cli) -> None:
    said = shop.text("dkim", "rotate", "shop.test", "--selector", "fresh")
    assert 'fresh._domainkey.shop.test  TXT\n    "v=DKIM1; k=rsa; p=' in said
    assert "present key signs until" in said
    assert states(shop)["fresh"] == "pending"
    assert "fresh._domainkey.shop.test is not seen by everybody yet" in shop.text("dkim", "status")
    assert "has a new key already: fresh" in shop.refused(
        "dkim", "rotate", "shop.test", "--selector", "other"
    )
    assert "no selector" in shop.refused("dkim", "rotate", "shop.test", "--selector", "a b")


def test_an_unverified_domain_is_not_rotated(shop: Cli) -> None:
    shop.ok("domain", "add", "new.test")
    assert "not verified" in shop.refused("dkim", "rotate", "new.test")


def test_a_zone_that_an_operator_loads(shop: Cli, tmp_path: Path) -> None:
    said = shop.text("dkim", "method", "shop.test", "cname")
    (key,) = [key for key in shop.ok("dkim", "status") if key["state"] == "pending"]
    assert f"frank1._domainkey.shop.test  CNAME\n    {key['value']}\n" in said
    assert f"server of {ZONE} has not been told yet" in shop.text("dkim", "status")
    exported = tmp_path / "zone"
    exported.write_text(shop.text("dkim", "zone"))
    assert exported.read_text().startswith(f"$ORIGIN {ZONE}.\n$TTL 300\nfrank1.")
    assert shop.ok("dkim", "published", str(exported)) == {"changed": 1}
    assert shop.ok("dkim", "published") == {"changed": 0}
    assert "not seen by everybody yet" in shop.text("dkim", "status")
    assert shop.text("dkim", "method", "shop.test", "txt") == "nothing needs to be published\n"
    assert shop.ok("dkim", "published") == {"changed": 1}
    assert "frank1" not in shop.text("dkim", "zone")


def test_a_zone_whose_server_is_told(shop: Cli, knot: Knot) -> None:
    assert "update_server" in shop.refused("dkim", "publish")
    with shop.settings.open("a") as file:
        file.write(f'update_server = "{knot}"\n')
    shop.ok("dkim", "method", "shop.test", "cname")
    said = shop.refused("dkim", "publish")
    assert "0 records told" in said and f"{knot} said " in said
    assert f"({knot} said " in shop.text("dkim", "status")
    with shop.settings.open("a") as file:
        file.write(f'tsig_name = "{knot.tsig_name}"\ntsig_secret = "{knot.tsig_secret}"\n')
    assert shop.ok("dkim", "publish") == {"told": 1, "errors": {}}
    assert shop.ok("dkim", "publish") == {"told": 0, "errors": {}}
    assert shop.text("dkim", "publish", "--all") == "1 records told\n"


def test_without_a_zone(ready: Cli) -> None:
    ready.ok("domain", "add", "shop.test")
    for command in (("zone",), ("published",), ("method", "shop.test", "cname")):
        assert "dkim.zone" in ready.refused("dkim", *command)


def test_keys_are_made_while_others_may_write(shop: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(f"sqlite:///{shop.settings.parent}/f.db")
    made = others.write_while_keys_are_made(monkeypatch, database)
    shop.ok("domain", "add", "new.test")
    shop.ok("dkim", "rotate", "shop.test")
    shop.ok("dkim", "method", "shop.test", "cname")
    assert len(made) == 3
