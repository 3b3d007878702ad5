"""Lists of addresses and domains: listed, not listed, and all that is neither."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from franking.deliverability.blocklists import checks_of_address, checks_of_domain, labels
from franking.deliverability.findings import Finding, run
from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from tests.dns.fakedns import FakeDns

LIST = "bl.list.test"
V4, V6 = "192.0.2.25", "2001:db8::25"
V6_NIBBLES = "5.2" + ".0" * 22 + ".8.b.d.0.1.0.0.2"


def ask(lookup: Resolvers, address: str = V4) -> Finding:
    (found,) = run(checks_of_address(lookup, ip_address(address), (LIST,)))
    return found


def test_keys() -> None:
    assert labels(ip_address(V4)) == "25.2.0.192"
    assert labels(ip_address(V6)) == V6_NIBBLES


def test_not_listed(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone(LIST, "2.0.0.127 A 127.0.0.2")
    found = ask(lookup)
    assert (found.subject, found.status, found.detail) == (f"{V4} {LIST}", "ok", "not listed")


@pytest.mark.parametrize(("address", "key"), [(V4, "25.2.0.192"), (V6, V6_NIBBLES)])
def test_listed(address: str, key: str, world: FakeDns, lookup: Resolvers) -> None:
    zone = f'{key} A 127.0.0.3\n{key} A 127.0.0.10\n{key} TXT "see https://list.test/?{address}"'
    world.set_zone(LIST, zone)
    found = ask(lookup, address)
    assert found.status == "fail"
    assert found.detail == f"listed (127.0.0.10, 127.0.0.3): “see https://list.test/?{address}”"
    assert found.fix == f"find and stop what got {address} listed, then ask {LIST} for its removal"


def test_a_lists_text_is_hostile(world: FakeDns, lookup: Resolvers) -> None:
    text = "\\027[2J\\007" + "x" * 240
    world.set_zone(LIST, f'25.2.0.192 A 127.0.0.2\n25.2.0.192 TXT "{text}" "{"y" * 250}"')
    found = ask(lookup)
    assert found.detail.isprintable()
    assert len(found.detail) < 240


@pytest.mark.parametrize("code", ["127.255.255.254", "127.0.0.1"])
def test_a_list_that_does_not_serve_us(code: str, world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone(LIST, f"25.2.0.192 A {code}")
    found = ask(lookup)
    assert (found.status, found.certain) == ("warn", False)
    assert "does not answer our resolver" in found.detail


def test_an_answer_that_is_none(world: FakeDns, lookup: Resolvers) -> None:
    """A domain that was sold on, or a resolver that sells advertisements."""
    world.set_zone(LIST, "* A 203.0.113.80")
    found = ask(lookup)
    assert (found.status, found.certain) == ("warn", False)
    assert "203.0.113.80, as no list does" in found.detail


@pytest.mark.parametrize("address", [V4, V6])
def test_a_list_that_was_given_up(address: str, world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone(LIST, "* A 127.0.0.2")
    found = ask(lookup, address)
    assert (found.status, found.certain) == ("warn", False)
    assert found.fix == f"take {LIST} out of the settings"


def test_a_list_that_is_silent(world: FakeDns, lookup: Resolvers) -> None:
    world.faults[LIST] = "silence"
    found = ask(lookup)
    assert (found.status, found.certain) == ("warn", False)
    assert found.detail.startswith("no answer: ")


def test_one_resolver_that_is_refused_is_no_answer(world: FakeDns, dns: Dns) -> None:
    """The other one knows."""
    world.set_zone(LIST, "25.2.0.192 A 127.255.255.254")
    with FakeDns({LIST: "other A 127.0.0.2"}) as second:
        both = Resolvers(dns.model_copy(update={"resolvers": (str(world), str(second))}))
        assert ask(both).status == "ok"
        second.set_zone(LIST, "25.2.0.192 A 127.0.0.2")
        assert ask(both).status == "fail"


def test_domains(world: FakeDns, lookup: Resolvers) -> None:
    world.set_zone(LIST, "bad.test A 127.0.1.2\ntest A 127.0.1.2")
    bad, good = (run(checks_of_domain(lookup, f"{n}.test", (LIST,)))[0] for n in ("bad", "good"))
    assert (bad.status, good.status) == ("fail", "ok")
    world.set_zone(LIST, "* A 127.0.1.2")
    (dead,) = run(checks_of_domain(lookup, "bad.test", (LIST,)))
    assert (dead.status, "given up" in dead.detail) == ("warn", True)
