"""A customer's domain: each finding, good and bad."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from franking.deliverability.config import Deliverability
from franking.deliverability.domain import of_domain
from franking.deliverability.findings import Finding
from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from tests.dns.fakedns import FakeDns

GOOD = """
$TTL 3600
@ NS ns
@ NS ns2
ns A 127.0.0.1
ns2 A 127.0.0.1
@ A 192.0.2.80
@ MX 10 mx
mx A 192.0.2.81
_dmarc TXT "v=DMARC1; p=none"
"""
OWN = Deliverability(domain_blocklists=("dbl.list.test",))


@pytest.fixture
def ask(world: FakeDns, lookup: Resolvers, dns: Dns) -> Iterator[Ask]:
    world.set_zone("dbl.list.test", "")
    yield Ask(world, lookup, dns)


class Ask:
    """What is found when the zone of shop.test is this."""

    def __init__(self, world: FakeDns, lookup: Resolvers, dns: Dns) -> None:
        self.world, self._lookup, self._dns = world, lookup, dns

    def all(self, zone: str | None = GOOD, name: str = "shop.test") -> list[Finding]:
        if zone is not None:
            self.world.set_zone("shop.test", zone)
        return of_domain(name, self._lookup, OWN, self._dns)

    def one(self, what: str, zone: str | None = GOOD, name: str = "shop.test") -> Finding:
        found = [finding for finding in self.all(zone, name) if finding.name == what]
        return max(found, key=lambda f: ("ok", "warn", "fail").index(f.status))


def test_a_good_domain(ask: Ask) -> None:
    assert [(f.name, f.subject, f.status) for f in ask.all()] == [
        ("mx", "shop.test", "ok"),
        ("address", "shop.test", "ok"),
        ("dmarc", "shop.test", "ok"),
        ("nameservers", "shop.test", "ok"),
        ("nameservers", "shop.test ns.shop.test", "ok"),
        ("nameservers", "shop.test ns2.shop.test", "ok"),
        ("ttl", "shop.test", "ok"),
        ("dnsbl", "shop.test dbl.list.test", "ok"),
    ]


@pytest.mark.parametrize(
    ("zone", "status", "said"),
    [
        ("@ MX 10 mx\nmx A 192.0.2.1", "ok", "mx.shop.test takes its mail"),
        ("@ MX 10 none\n@ MX 20 mx\nmx AAAA 2001:db8::1", "ok", "mx.shop.test takes its mail"),
        ("@ MX 0 .", "warn", "has a null MX"),
        ("@ A 192.0.2.1", "warn", "has no MX; its address is tried"),
        ("@ MX 10 none", "fail", "no address for none.shop.test"),
        ("", "fail", "has neither MX nor address"),
    ],
)
def test_mx(zone: str, status: str, said: str, ask: Ask) -> None:
    found = ask.one("mx", zone)
    assert (found.status, said in found.detail) == (status, True), found


def test_a_domain_that_does_not_exist(ask: Ask) -> None:
    assert ask.one("mx", name="none.shop.test").detail == "does not exist in the DNS"


@pytest.mark.parametrize("zone", ["@ A 192.0.2.1", ""])
def test_an_address_is_optional(zone: str, ask: Ask) -> None:
    assert ask.one("address", zone).status == "ok"


def test_dmarc_of_the_organisation(ask: Ask) -> None:
    found = ask.one("dmarc", f"{GOOD}\nnews.eu A 192.0.2.1", "news.eu.shop.test")
    assert (found.status, found.detail) == ("ok", "_dmarc.shop.test: v=DMARC1; p=none")


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ("", "warn"),
        ('_dmarc TXT "not dmarc"', "warn"),
        ('_dmarc TXT "v=DMARC1; p=none"\n_dmarc TXT "v=DMARC1; p=reject"', "fail"),
    ],
)
def test_dmarc(records: str, status: str, ask: Ask) -> None:
    found = ask.one("dmarc", records)
    assert (found.status, bool(found.fix)) == (status, True)


def test_one_name_server(ask: Ask) -> None:
    found = ask.one("nameservers", "@ NS ns\nns A 127.0.0.1")
    assert (found.status, found.detail) == ("warn", "has one name server only: ns.shop.test")


def test_a_lame_name_server(ask: Ask, world: FakeDns) -> None:
    with FakeDns({}, address="127.0.0.2", port=world.port, faults={".": "refuse"}):
        found = ask.one("nameservers", "@ NS ns\nns A 127.0.0.1\n@ NS lame\nlame A 127.0.0.2")
    assert (found.status, found.subject) == ("warn", "shop.test lame.shop.test")
    assert found.detail == "does not serve the zone: REFUSED"


def test_a_name_server_without_authority_or_answer(ask: Ask, world: FakeDns) -> None:
    zone = "@ NS ns\nns A 127.0.0.1\n@ NS other\nother A 127.0.0.2"
    with FakeDns({"shop.test": zone}, address="127.0.0.2", port=world.port) as other:
        assert ask.one("nameservers", zone).status == "ok"
        other.faults["shop.test SOA"] = "lame"
        found = ask.one("nameservers", zone)
        assert found.detail == "does not serve the zone: its answer is not authoritative"
    found = ask.one("nameservers", zone)
    assert (found.status, found.detail.startswith("does not serve the zone: ")) == ("warn", True)


def test_a_name_server_without_address(ask: Ask) -> None:
    found = ask.one("nameservers", "@ NS ns\nns A 127.0.0.1\n@ NS gone")
    assert (found.status, found.subject) == ("fail", "shop.test gone.shop.test")
    assert found.detail == "has no address"


def test_a_name_server_that_this_host_may_have_no_way_to(ask: Ask) -> None:
    zone = "@ NS ns\nns A 127.0.0.1\n@ NS six\nsix AAAA ::1"
    found = [finding for finding in ask.all(zone) if finding.name == "nameservers"]
    assert [(f.status, f.certain) for f in found] == [("ok", True), ("ok", True), ("warn", False)]


@pytest.mark.parametrize(
    ("seconds", "status"), [(59, "warn"), (60, "ok"), (86_400, "ok"), (86_401, "warn")]
)
def test_ttl(seconds: int, status: str, ask: Ask) -> None:
    found = ask.one("ttl", f"$TTL {seconds}\n@ MX 10 mx\nmx A 192.0.2.1")
    assert (found.status, f"shop.test MX {seconds} s" in found.detail) == (status, True)


def test_a_listed_domain(ask: Ask, world: FakeDns) -> None:
    world.set_zone("dbl.list.test", "shop.test A 127.0.1.2")
    found = ask.one("dnsbl")
    assert (found.status, found.subject) == ("fail", "shop.test dbl.list.test")


def test_nobody_answers(ask: Ask, world: FakeDns) -> None:
    world.faults["."] = "servfail"
    found = ask.all()
    assert {(f.status, f.certain) for f in found} == {("warn", False)}
