"""Servers that fail: trouble is told as such, and got round where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from franking.dns.config import Dns
from franking.dns.lookups import of_this_host
from franking.dns.servers import Server
from tests.dns.fakedns import FakeDns
from tests.dns.world import lookups

SHORT = 0.3  # seconds of patience with one question, where a server is silent
SHOP = "a TXT first\nb CNAME a\nbig TXT " + " ".join(["x" * 255] * 8)


@pytest.fixture
def server() -> Iterator[FakeDns]:
    """Resolver and authoritative server in one."""
    with FakeDns({"shop.test": SHOP, "other.test": "a TXT other"}) as fake:
        yield fake


TROUBLES = {
    "servfail": "SERVFAIL",
    "refuse": "REFUSED",
    "cut": "an answer that is cut off",
    "silence": "no answer in time",
}


@pytest.mark.parametrize("fault", TROUBLES)
def test_trouble(server: FakeDns, fault: str) -> None:
    server.faults = {"a.shop.test TXT": fault}
    lookup = lookups(server, port=server.port, timeout=SHORT)
    (resolver_says,) = lookup.resolved("a.shop.test", "TXT")
    assert (resolver_says.status, resolver_says.problem) == ("trouble", TROUBLES[fault])
    assert resolver_says.server == str(server)
    zone_says = lookup.authoritative("a.shop.test", "TXT")
    assert (zone_says.status, zone_says.values) == ("trouble", ())
    assert zone_says.problem == f"{server}: {TROUBLES[fault]}"
    behind_an_alias = lookup.authoritative("b.shop.test", "TXT")
    assert (behind_an_alias.status, behind_an_alias.aliases) == ("trouble", ("a.shop.test",))


@pytest.mark.parametrize("fault", ["garbage", "half", "stranger", "other_id"])
def test_what_is_no_answer_is_as_if_it_had_not_come(server: FakeDns, fault: str) -> None:
    server.faults = {"a.shop.test TXT": fault}
    (answer,) = lookups(server, port=server.port, timeout=SHORT).resolved("a.shop.test", "TXT")
    assert (answer.status, answer.problem) == ("trouble", "no answer in time")
    assert server.asked["a.shop.test", "TXT"] == 2


@pytest.mark.parametrize("fault", ["truncated", "forgetful", "plain"])
def test_no_trouble(server: FakeDns, fault: str) -> None:
    """Asked again: over TCP, because it may have got lost, without EDNS."""
    server.faults = {"a.shop.test TXT": fault}
    lookup = lookups(server, port=server.port, timeout=SHORT)
    assert lookup.authoritative("a.shop.test", "TXT").values == ("first",)
    server.asked.clear()
    assert [each.values for each in lookup.resolved("a.shop.test", "TXT")] == [("first",)]
    assert server.asked["a.shop.test", "TXT"] == 2


def test_slow_is_not_silent() -> None:
    with FakeDns({"shop.test": SHOP}, faults={".": "slow"}, delay=0.02) as server:
        lookup = lookups(server, port=server.port)
        assert lookup.resolved("a.shop.test", "TXT")[0].values == ("first",)
        assert lookup.authoritative("a.shop.test", "TXT").values == ("first",)


def test_what_is_larger_than_a_datagram(server: FakeDns) -> None:
    answer = lookups(server, port=server.port).authoritative("big.shop.test", "TXT")
    assert answer.values == ("x" * 255 * 8,)
    assert answer.strings == (("x" * 255,) * 8,)


def test_lame(server: FakeDns) -> None:
    server.faults = {"a.shop.test TXT": "lame"}
    answer = lookups(server, port=server.port).authoritative("a.shop.test", "TXT")
    assert (answer.status, answer.problem) == ("trouble", f"{server}: does not serve shop.test")


TWO = "@ NS ns1\n@ NS ns2\nns1 A 127.0.0.2\nns2 A 127.0.0.3\n"


@pytest.fixture
def two() -> Iterator[tuple[FakeDns, FakeDns, FakeDns]]:
    """A resolver, and a zone's two servers, in the order in which they are asked."""
    with FakeDns({}) as resolver:
        zones = {"two.test": f"{TWO}a TXT same"}
        with (
            FakeDns(zones, address="127.0.0.2", port=resolver.port, root=False) as first,
            FakeDns(zones, address="127.0.0.3", port=resolver.port, root=False) as second,
        ):
            resolver.friends.append(second)
            yield resolver, first, second


@pytest.mark.parametrize("fault", ["servfail", "refuse", "silence", "lame", "garbage"])
def test_the_next_server_is_asked(two: tuple[FakeDns, FakeDns, FakeDns], fault: str) -> None:
    resolver, first, second = two
    first.faults = {".": fault}
    answer = lookups(resolver, port=resolver.port, timeout=SHORT).authoritative("a.two.test", "TXT")
    assert (answer.values, answer.server) == (("same",), str(second))
    assert first.asked["a.two.test", "TXT"] == 1


def test_one_answer_is_enough(two: tuple[FakeDns, FakeDns, FakeDns]) -> None:
    resolver, first, second = two
    lookup = lookups(resolver, port=resolver.port)
    assert lookup.authoritative("a.two.test", "TXT").server == str(first)
    assert not second.asked["a.two.test", "TXT"]


def test_who_was_silent_is_asked_last(two: tuple[FakeDns, FakeDns, FakeDns]) -> None:
    resolver, first, second = two
    first.faults = {".": "silence"}
    lookup = lookups(resolver, port=resolver.port, timeout=SHORT)
    for _ in range(3):
        assert lookup.authoritative("a.two.test", "TXT").server == str(second)
    assert first.asked["a.two.test", "TXT"] == 1


def test_a_silent_zone_is_left_alone_for_a_moment(two: tuple[FakeDns, FakeDns, FakeDns]) -> None:
    """Its other names do not cost the same patience again."""
    resolver, first, second = two
    first.faults = second.faults = {".": "silence"}
    lookup = lookups(resolver, port=resolver.port, timeout=SHORT)
    told = f"{first}: no answer in time; {second}: no answer in time"
    assert lookup.authoritative("a.two.test", "TXT").problem == told
    assert lookup.authoritative("b.two.test", "TXT").problem == told
    first.asked.clear()
    for name in ("a.two.test", "c.two.test"):
        assert lookup.authoritative(name, "TXT").problem == told
    assert not first.asked


def test_silence_about_one_name_is_not_the_zones(server: FakeDns) -> None:
    server.faults = {"a.shop.test": "silence", "c.shop.test": "silence"}
    lookup = lookups(server, port=server.port, timeout=SHORT)
    for name, status in {"a": "trouble", "big": "found", "c": "trouble", "d": "nxdomain"}.items():
        assert lookup.authoritative(f"{name}.shop.test", "TXT").status == status


def test_a_closed_port_is_told_at_once() -> None:
    with FakeDns({}) as gone:
        lookup = lookups(gone, port=gone.port, timeout=60.0)
    assert lookup.resolved("a.shop.test", "TXT")[0].problem == "Connection refused"
    assert lookup.authoritative("a.shop.test", "TXT").problem == "Connection refused"
    assert lookup.zone_of("a.shop.test") is None


def test_each_resolver_is_asked(server: FakeDns) -> None:
    """One has not heard of the record yet; one is out of order, which hinders no one."""
    zones = {"shop.test": "a TXT old"}
    with FakeDns(zones) as behind, FakeDns({}, faults={".": "servfail"}) as broken:
        lookup = lookups(broken, behind, server, port=server.port)
        answers = lookup.resolved("a.shop.test", "TXT")
        assert [(each.server, each.status, each.values) for each in answers] == [
            (str(broken), "trouble", ()),
            (str(behind), "found", ("old",)),
            (str(server), "found", ("first",)),
        ]
        assert lookup.authoritative("a.shop.test", "TXT").values == ("first",)


def test_a_resolver_over_ipv6() -> None:
    with FakeDns({"shop.test": SHOP}, address="::1") as server:
        lookup = lookups(server, port=server.port)
        assert lookup.resolved("a.shop.test", "TXT")[0].values == ("first",)
        assert lookup.authoritative("a.shop.test", "TXT").server == str(server)


def test_the_resolvers_of_the_host(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("search shop.test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert of_this_host(str(path)) == [Server("192.0.2.53"), Server("2001:db8::53")]
    assert of_this_host(str(tmp_path / "none")) == [Server("127.0.0.1")]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", Server("192.0.2.53", 53)),
        ("127.0.0.1@5353", Server("127.0.0.1", 5353)),
        ("2001:db8:0::53@5353", Server("2001:db8::53", 5353)),
    ],
)
def test_a_server_in_the_settings(text: str, server: Server) -> None:
    assert Server.parse(text) == server
    assert Dns(resolvers=(text,)).resolvers == (text,)


@pytest.mark.parametrize("text", ["", "resolver.example", "192.0.2.53:53", "192.0.2.53@0", "::1@x"])
def test_no_server(text: str) -> None:
    with pytest.raises(ValidationError, match="resolvers"):
        Dns(resolvers=(text,))
