"""`franking doctor`, `franking deliverability`: the findings as an operator sees them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from franking import doctor
from franking.db import Database, utcnow
from franking.deliverability import results
from franking.deliverability.findings import Finding, fail, ok
from franking.domains import relayzone
from franking.settings import load
from tests.command_line import Cli
from tests.dns.fakedns import FakeDns
from tests.factories import MASTER_KEY_BASE64
from tests.franking.deliverability.listener import AUTHORITY, listener

OFF = "".join(f"[listeners.{n}]\nenabled = false\n" for n in ("smtp", "submissions", "alternate"))
GOOD = ok("helo", "out1.relay.test", "has 192.0.2.25")
LOST = fail("ptr", "192.0.2.25", "has no PTR", "have your provider set it")


@pytest.fixture
def cli(tmp_path: Path, world: FakeDns) -> Cli:
    ca_file = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(ca_file)
    file = tmp_path / "franking.toml"
    file.write_text(
        f'node = "n1"\ndatabase_url = "sqlite:///{tmp_path}/f.db"\n'
        f'master_key = "{MASTER_KEY_BASE64}"\n{OFF}'
        f'[deliverability]\nca_file = "{ca_file}"\ntimeout = 5\n'
        f'[dns]\nresolvers = ["{world}"]\nauthoritative_port = {world.port}\ntimeout = 1.5\n'
        f'[smtp]\nhost = "127.0.0.1"\n'
    )
    made = Cli(file)
    made.ok("init", "--price", "0.002")
    return made


def known(cli: Cli, *findings: Finding, ago: timedelta = timedelta()) -> None:
    """The worker has found this."""
    database = Database(load(cli.settings).database_url)
    with database.transaction() as session:
        results.store(session, "n1", findings, utcnow() - ago)
    database.close()


def group(cli: Cli, *options: str) -> list[tuple[str, str]]:
    found = json.loads(cli.run("doctor", "--json", *options).stdout)["deliverability"]
    assert found["node"] == "n1"
    return [(finding["name"], finding["status"]) for finding in found["findings"]]


def test_doctor_shows_what_the_worker_has_found(cli: Cli) -> None:
    known(cli, GOOD, LOST, ago=timedelta(minutes=119))
    stored = [("helo", "ok"), ("ptr", "fail"), ("outside view", "warn")]
    asked = [("addresses", "warn"), ("resolver", "ok"), ("certificate", "fail")]
    assert group(cli) == stored
    assert group(cli, "--now") == asked
    known(cli, GOOD, LOST, ago=timedelta(minutes=121))
    assert group(cli) == asked


def test_doctor_knows_what_the_zone_must_have(cli: Cli) -> None:
    database = Database(load(cli.settings).database_url)
    with database.transaction() as session:
        relayzone.put(session, "frank1.k1.old.test", "v=DKIM1; p=1")
    database.close()
    assert ("dkim zone", "warn") in group(cli, "--now")


def test_doctor_in_words(cli: Cli) -> None:
    known(cli, GOOD, LOST)
    said = cli.refused("doctor")
    assert "\n✓ helo out1.relay.test: has 192.0.2.25\n" in said
    assert "\n✗ ptr 192.0.2.25: has no PTR\n    have your provider set it\n" in said
    assert "\n✗ policyd auth: nobody answers" in said


def test_doctor_without_a_database(cli: Cli) -> None:
    settings = load(cli.settings, database_url="sqlite:////nowhere/f.db")
    with listener() as opened:
        ports = {"submission": opened.port}
        smtp = settings.smtp.model_copy(update={"ports": ports})
        report = doctor.deliverability(settings.model_copy(update={"smtp": smtp}))
    assert [(f.name, f.status) for f in report.findings] == [
        ("addresses", "warn"), ("resolver", "ok"), ("certificate", "ok"),
    ]  # fmt: skip


def test_show(cli: Cli) -> None:
    assert "nothing yet" in cli.text("deliverability", "show")
    known(cli, LOST)
    assert "  ✗ ptr 192.0.2.25: has no PTR" in cli.text("deliverability", "show")
    (node,) = cli.ok("deliverability", "show")["nodes"]
    assert (node["node"], node["findings"][0]["fix"]) == ("n1", "have your provider set it")


def test_a_domain(cli: Cli, world: FakeDns) -> None:
    for name in ("dbl.spamhaus.org", "multi.surbl.org"):
        world.set_zone(name, "")
    world.set_zone("shop.test", "@ MX 10 mx\nmx A 192.0.2.1")
    found = cli.ok("deliverability", "domain", "Shop.test")
    assert (found["domain"], found["ok"]) == ("shop.test", True)
    assert "! dmarc shop.test: no DMARC record" in cli.text("deliverability", "domain", "shop.test")
    world.set_zone("shop.test", "")
    assert "✗ mx shop.test: has neither" in cli.refused("deliverability", "domain", "shop.test")
    assert "not a full domain name" in cli.refused("deliverability", "domain", "shop")


def test_a_probe(cli: Cli) -> None:
    with listener() as one, listener("implicit") as two:
        ports = ["--starttls", str(one.port), "--implicit", str(two.port)]
        found = cli.ok("deliverability", "probe", "127.0.0.1", *ports)
    assert [finding["status"] for finding in found["findings"]] == ["ok"] * 4
    said = cli.refused("deliverability", "probe", "127.0.0.1", "--starttls", str(one.port))
    assert f"✗ probe 127.0.0.1:{one.port}: nobody answers" in said
