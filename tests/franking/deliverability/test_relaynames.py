"""MX, SPF and the DKIM zone of the relay itself, good and bad."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from franking.deliverability import relaynames
from franking.deliverability.findings import Finding
from franking.deliverability.spf import permits
from franking.dns.lookups import Resolvers
from tests.dns.fakedns import FakeDns

V4, V6 = ip_address("192.0.2.25"), ip_address("2001:db8::25")
HELO = "out1.relay.test"
OURS = {HELO, str(V4), str(V6)}
BOUNCES = "bounce.relay.test"
ZONE = f"""
@ A {V4}
@ MX 10 near
@ MX 20 exact
near A 192.0.2.1
exact A {V4}
one TXT "v=spf1 ip4:{V4} -all"
two TXT "v=spf1 ip4:{V4} -all"
two TXT "v=spf1 ip4:{V4} ~all"
loop TXT "v=spf1 include:loop.relay.test -all"
"""


def mx(lookup: Resolvers) -> Finding:
    return relaynames.mx(lookup, BOUNCES, "bounces", OURS.__contains__, HELO)


@pytest.mark.parametrize("host", ["out1.relay.test.", "mx.relay.test."])
def test_mx_is_us(host: str, world: FakeDns, lookup: Resolvers) -> None:
    """By name, or because the name has our address."""
    world.set_zone("relay.test", f"bounce MX 5 gone\nbounce MX 10 {host}\nmx AAAA {V6}")
    assert mx(lookup) == Finding("mx", BOUNCES, "ok", f"bounces come to {host.rstrip('.')}")


def test_mx_is_somebody_else(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", "bounce MX 10 mx\nmx A 192.0.2.99")
    found = mx(lookup)
    assert found.status == "fail"
    assert found.detail == "its MX is mx.relay.test, which is not this relay: bounces are lost"
    assert found.fix == "publish bounce.relay.test MX 10 out1.relay.test"


def test_no_mx(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", 'bounce TXT "nothing"')
    assert (mx(lookup).status, mx(lookup).detail) == ("fail", "has no MX: bounces are lost")
    world.set_zone("relay.test", f"bounce A {V4}")
    assert (mx(lookup).status, mx(lookup).detail) == ("warn", "has no MX")


@pytest.mark.parametrize("where", ["bounce.relay.test", "mx.relay.test"])
def test_mx_when_nobody_answers(where: str, world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", "bounce MX 10 mx\nmx A 192.0.2.99")
    world.faults[where] = "servfail"
    assert (mx(lookup).status, mx(lookup).certain) == ("warn", False)


def policy(lookup: Resolvers, terms: str | None = None) -> Finding:
    return relaynames.sender_policy(lookup, "spf.relay.test", [V4, V6], terms)


def test_spf_has_every_address(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", f'spf TXT "v=spf1 ip4:192.0.2.0/24 ip6:{V6} -all"')
    assert policy(lookup).status == "ok"
    assert policy(lookup, "include:spf.relay.test").status == "ok"


def test_spf_lacks_one(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", 'spf TXT "v=spf1 ip4:192.0.2.0/24 -all"')
    for found in (policy(lookup), policy(lookup, "include:spf.relay.test")):
        assert (found.status, found.fix) == ("fail", "add ip6:2001:db8::25 to it")


def test_spf_is_not_there_or_twice(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", "")
    found = policy(lookup)
    assert (found.status, found.detail) == ("fail", "has no SPF record")
    assert "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all" in found.fix
    world.set_zone("relay.test", 'spf TXT "v=spf1 -all"\nspf TXT "v=spf1 ?all"')
    assert (policy(lookup).status, policy(lookup).detail) == ("fail", "has 2 SPF records")


def test_spf_when_nobody_answers(world: FakeDns, lookup: Resolvers) -> None:
    world.faults["spf.relay.test"] = "servfail"
    for found in (policy(lookup), policy(lookup, "include:spf.relay.test")):
        assert (found.status, found.certain) == ("warn", False)


@pytest.mark.parametrize(
    ("record", "permitted"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", True),
        ("ip4:192.0.2.25", True),
        ("v=spf1 -ip4:192.0.2.25 +all", False),
        ("v=spf1 ?all", False),
        ("v=spf1 +all", True),
        ("v=spf1 a -all", True),
        ("v=spf1 a:near.relay.test -all", False),
        ("v=spf1 a:near.relay.test/24 -all", True),
        ("v=spf1 a:near.relay.test//64 -all", False),
        ("v=spf1 mx -all", True),
        ("v=spf1 mx:empty.relay.test -all", False),
        ("v=spf1 include:one.relay.test -all", True),
        ("v=spf1 include:none.relay.test -all", False),
        ("v=spf1 include:two.relay.test -all", False),
        ("v=spf1 ~include:one.relay.test -all", False),
        ("v=spf1 redirect=one.relay.test", True),
        ("v=spf1 redirect=none.relay.test", False),
        ("v=spf1 exists:%{i}.relay.test -all", None),
        ("v=spf1 exists:%{i}.relay.test ip4:192.0.2.25 -all", True),
        ("v=spf1 -exists:%{i}.relay.test ip4:192.0.2.25 -all", None),
        ("v=spf1 include:broken.relay.test -all", None),
        ("v=spf1 include:loop.relay.test -all", None),
        ("v=spf1 mx:broken.relay.test -all", None),
        ("v=spf1 a:broken.relay.test -all", None),
        ("v=spf1 ip4:nonsense -all", False),
    ],
)
def test_what_a_record_permits(
    record: str, permitted: bool | None, world: FakeDns, lookup: Resolvers
) -> None:
    world.set_zone("relay.test", ZONE)
    world.faults["broken.relay.test"] = "servfail"
    assert permits(lookup, record, "relay.test", V4) is permitted


def test_the_dkim_zone_answers(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("dkim.relay.test", "")
    assert relaynames.dkim_zone(lookup, "dkim.relay.test").status == "ok"


def test_keys_that_the_dkim_zone_has_lost(world: FakeDns, lookup: Resolvers) -> None:
    """It was restored, and answers."""
    keys = [(f"frank1.k{n}.dkim.relay.test", f"v=DKIM1; p={n}") for n in range(3)]
    world.set_zone("dkim.relay.test", "\n".join(f'{n}. TXT "{text}"' for n, text in keys))
    assert relaynames.dkim_zone(lookup, "dkim.relay.test", keys).status == "ok"
    world.faults[keys[1][0]] = "servfail"
    silent = relaynames.dkim_zone(lookup, "dkim.relay.test", keys)
    assert (silent.status, silent.certain) == ("warn", False)
    world.set_zone("dkim.relay.test", 'frank1.k0 TXT "v=DKIM1; p=0"')
    found = relaynames.dkim_zone(lookup, "dkim.relay.test", keys)
    assert (found.status, "dkim publish --all" in found.fix) == ("fail", True)
    assert found.detail == f"1 of 3 keys that it was told of are not there: {keys[2][0]}"


def test_records_of_a_former_zone(world: FakeDns) -> None:
    found = relaynames.former_zone("dkim.relay.test", 7, "frank1.k0.old.test")
    assert (found.status, "frank1.k0.old.test" in found.detail) == ("warn", True)
    assert "dkim.zone is empty" in relaynames.former_zone("", 7, "x").detail


def test_the_dkim_zone_is_no_zone(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", 'dkim TXT "only a name"')
    found = relaynames.dkim_zone(lookup, "dkim.relay.test")
    assert (found.status, found.detail) == ("fail", "is no zone: it has no SOA record")


def test_the_dkim_zone_is_silent(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("dkim.relay.test", "")
    world.faults["."] = "refuse"
    found = relaynames.dkim_zone(lookup, "dkim.relay.test")
    assert (found.status, "delegate dkim.relay.test" in found.fix) == ("fail", True)
