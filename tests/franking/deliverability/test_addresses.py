"""PTR = HELO = A, each way in which it is not, and what is said then."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from franking.deliverability.addresses import helo, looks_generic, ptr
from franking.dns.lookups import Resolvers
from tests.dns.fakedns import FakeDns

V4, V6 = ip_address("192.0.2.25"), ip_address("2001:db8::25")
NAME = "out1.relay.test"


def name(world: FakeDns, address: str, *names: str) -> None:
    reverse = ip_address(address).reverse_pointer
    zone = ".".join(reverse.split(".")[1:])
    world.set_zone(zone, "".join(f"{reverse}. PTR {each}.\n" for each in names))


@pytest.mark.parametrize("address", [V4, V6], ids=["IPv4", "IPv6"])
def test_there_and_back(address: object, world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", f"out1 A {V4}\nout1 AAAA {V6}")
    name(world, str(address), NAME)
    found = ptr(lookup, ip_address(str(address)), NAME)
    assert (found.status, found.detail) == ("ok", "out1.relay.test, and back")


def test_one_of_several_names_is_enough(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", f"out1 A {V4}")
    name(world, str(V4), "www.elsewhere.test", NAME)
    assert ptr(lookup, V4, NAME).status == "ok"


def test_no_ptr(world: FakeDns, lookup: Resolvers) -> None:
    name(world, str(V4))
    found = ptr(lookup, V4, NAME)
    assert (found.status, found.detail) == ("fail", "has no PTR")
    assert found.fix == "have your provider set the PTR of 192.0.2.25 to out1.relay.test"


def test_a_name_that_does_not_lead_back(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", "out1 A 192.0.2.99")
    name(world, str(V4), NAME)
    found = ptr(lookup, V4, NAME)
    assert found.status == "fail"
    assert found.fix == "publish out1.relay.test A 192.0.2.25"


def test_another_name_than_helo(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", f"out1 A {V4}\nold A {V4}")
    name(world, str(V4), "old.relay.test")
    found = ptr(lookup, V4, NAME)
    assert found.status == "warn"
    assert found.detail == "is named old.relay.test, and HELO says out1.relay.test"


def test_a_generic_name(world: FakeDns, lookup: Resolvers) -> None:
    generic = "192-0-2-25.static.provider.test"
    world.set_zone("provider.test", f"{generic}. A {V4}")
    name(world, str(V4), generic)
    found = ptr(lookup, V4, generic)
    assert (found.status, "generic" in found.detail) == ("warn", True)


def test_nobody_answers(world: FakeDns, lookup: Resolvers) -> None:
    world.faults["2.0.192.in-addr.arpa"] = "servfail"
    found = ptr(lookup, V4, NAME)
    assert (found.status, found.certain) == ("warn", False)
    assert "SERVFAIL" in found.detail


@pytest.mark.parametrize(
    ("name", "address", "generic"),
    [
        ("25-2-0-192.dsl.example.net", V4, True),
        ("host192-000-002-025.example.net", V4, True),
        ("c0000219.example.net", V4, True),
        ("pool7.example.net", V4, True),
        ("pool-7.example.net", V4, True),
        ("dynamic.example.net", V4, True),
        ("out1.example.net", V4, False),
        ("mx192.example.net", V4, False),
        ("clients-mail.example.net", V4, False),
        ("out1.static-hosting.net", V4, False),
        ("0000-0000-0000-0025.v6.example.net", V6, True),
        ("out1.example.net", V6, False),
    ],
)
def test_what_looks_generic(name: str, address: object, generic: bool) -> None:
    assert looks_generic(name, ip_address(str(address))) is generic


def test_helo_has_an_address(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", f"out1 AAAA {V6}")
    found = helo(lookup, NAME)
    assert (found.status, found.detail) == ("ok", "has 2001:db8::25")


def test_helo_without_address(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone("relay.test", 'out1 TXT "no address"')
    found = helo(lookup, NAME)
    assert (found.status, found.detail) == ("fail", "has neither A nor AAAA")
    assert NAME in found.fix


@pytest.mark.parametrize("wrong", ["localhost", "192.0.2.25", "2001:db8::25"])
def test_helo_must_be_a_full_name(wrong: str, lookup: Resolvers) -> None:
    found = helo(lookup, wrong)
    assert (found.status, "myhostname" in found.fix) == ("fail", True)


def test_helo_when_nobody_answers(world: FakeDns, lookup: Resolvers) -> None:
    world.faults["."] = "silence"
    found = helo(lookup, NAME)
    assert (found.status, found.certain) == ("warn", False)
