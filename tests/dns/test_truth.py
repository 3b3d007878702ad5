"""One table, asked twice: of our own server, and of Knot behind Unbound.

So it says what is true about the look-ups, and also that our own server tells no tales where no
fault was asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.dns import world
from tests.dns.world import World

LONG = "x" * 250
SHOP = f"""
@        MX     20 backup
@        MX     10 mx
@        TXT    "v=spf1 -all"
@        TXT    "a note"
mx       A      192.0.2.10
mx       AAAA   2001:db8::10
_dkim    TXT    "v=DKIM1; " "k=rsa; " "p=AAAA"
six      TXT    "{LONG}" "{LONG}" "{LONG}" "{LONG}" "{LONG}" "{LONG}"
Mixed    TXT    "case"
bytes    TXT    "\\255\\000\\010\\195\\188\\009" "\\195"
a        CNAME  b
b        CNAME  c.Other.test.
gone     CNAME  nothing.other.test.
bare     CNAME  mx
first    CNAME  second
second   CNAME  first
self     CNAME  self
*.wild   TXT    "any"
deep.er  TXT    "deep"
"""
ZONES = {
    "shop.test": SHOP,
    "sub.shop.test": 'k TXT "below the cut"',
    "other.test": 'c TXT "the end"',
    "xn--bcher-kva.test": '_franking TXT "of books"',
    "2.0.192.in-addr.arpa": "10 PTR mx.shop.test.",
}


class Row(NamedTuple):
    name: str
    type: str
    status: str
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    zone: str | None = "shop.test"


REPLACED = "\N{REPLACEMENT CHARACTER}"
ROWS = [
    Row("shop.test", "MX", "found", ("10 mx.shop.test", "20 backup.shop.test")),
    Row("shop.test", "TXT", "found", ("a note", "v=spf1 -all")),
    Row("shop.test", "SOA", "found", ("shop.test",)),
    Row("shop.test", "NS", "found", ("ns.shop.test",)),
    Row("SHOP.test.", "CNAME", "nodata"),
    Row("mx.shop.test", "A", "found", ("192.0.2.10",)),
    Row("mx.shop.test", "AAAA", "found", ("2001:db8::10",)),
    Row("mx.shop.test", "TXT", "nodata"),
    Row("_dkim.shop.test", "TXT", "found", ("v=DKIM1; k=rsa; p=AAAA",)),
    Row("six.shop.test", "TXT", "found", (LONG * 6,)),
    Row("miXed.shop.test", "TXT", "found", ("case",)),
    Row("bytes.shop.test", "TXT", "found", (f"{REPLACED}{REPLACED} ü {REPLACED}",)),
    Row("a.shop.test", "TXT", "found", ("the end",), ("b.shop.test", "c.other.test")),
    Row("a.shop.test", "CNAME", "found", ("b.shop.test",)),
    Row("bare.shop.test", "TXT", "nodata", (), ("mx.shop.test",)),
    Row("gone.shop.test", "TXT", "nxdomain", (), ("nothing.other.test",)),
    Row("nothing.shop.test", "TXT", "nxdomain"),
    Row("x.wild.shop.test", "TXT", "found", ("any",)),
    Row("x.y.wild.shop.test", "TXT", "found", ("any",)),
    Row("wild.shop.test", "TXT", "nodata"),
    Row("er.shop.test", "TXT", "nodata"),
    Row("deep.er.shop.test", "TXT", "found", ("deep",)),
    Row("k.sub.shop.test", "TXT", "found", ("below the cut",), (), "sub.shop.test"),
    Row("sub.shop.test", "TXT", "nodata", (), (), "sub.shop.test"),
    Row("_franking.bücher.test", "TXT", "found", ("of books",), (), "xn--bcher-kva.test"),
    Row("10.2.0.192.in-addr.arpa", "PTR", "found", ("mx.shop.test",), (), "2.0.192.in-addr.arpa"),
    Row("no.such.domain.example", "TXT", "nxdomain", (), (), "."),
]


@pytest.fixture(scope="module", params=["fake", "true"])
def dns(request: pytest.FixtureRequest) -> Iterator[World]:
    with (world.fake if request.param == "fake" else world.true)(ZONES) as made:
        yield made


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.type}")
def test_table(dns: World, row: Row) -> None:
    expected = row.status, row.values, row.aliases, row.type
    zone_says = dns.lookup.authoritative(row.name, row.type)
    (resolver_says,) = dns.lookup.resolved(row.name, row.type)
    for answer in (zone_says, resolver_says):
        assert (answer.status, answer.values, answer.aliases, answer.type) == expected, answer
        assert 0 < answer.ttl <= 300
        assert answer.name == row.name.lower().rstrip(".").replace("bücher", "xn--bcher-kva")
    assert zone_says.server == f"127.0.0.1@{dns.server.port}"
    assert resolver_says.server == dns.resolver
    assert dns.lookup.zone_of(row.name) == row.zone


def test_strings_are_kept_apart(dns: World) -> None:
    split = dns.lookup.authoritative("_dkim.shop.test", "TXT")
    assert split.strings == (("v=DKIM1; ", "k=rsa; ", "p=AAAA"),)
    two = dns.lookup.authoritative("shop.test", "TXT")
    assert two.strings == (("a note",), ("v=spf1 -all",))
    (odd,) = dns.lookup.authoritative("bytes.shop.test", "TXT").strings
    assert odd == (f"{REPLACED}{REPLACED} ü ", REPLACED)


@pytest.mark.parametrize("name", ["first", "second", "self"])
def test_aliases_without_end(dns: World, name: str) -> None:
    zone_says = dns.lookup.authoritative(f"{name}.shop.test", "TXT")
    assert (zone_says.status, zone_says.problem) == ("trouble", "CNAMEs without end")
    assert [each.status for each in dns.lookup.resolved(f"{name}.shop.test", "TXT")] == ["trouble"]


def test_what_is_new_is_seen_at_once(dns: World) -> None:
    """A record, and a zone that is cut off from one which is known."""
    lookup = dns.lookup
    assert lookup.authoritative("new.other.test", "TXT").status == "nxdomain"
    dns.server.set_zone("other.test", 'c TXT "the end"\nnew TXT "here"')
    assert lookup.authoritative("new.other.test", "TXT").values == ("here",)
    assert lookup.authoritative("k.new.example", "TXT").status == "nxdomain"
    dns.server.set_zone("new.example", 'k TXT "here"')
    assert lookup.authoritative("k.new.example", "TXT").values == ("here",)


def test_in_zone(dns: World) -> None:
    lookup = dns.lookup
    assert lookup.in_zone("shop.test", "_dkim.shop.test", "TXT").status == "found"
    assert lookup.in_zone("shop.test", "nothing.shop.test", "TXT").status == "nxdomain"
    alias = lookup.in_zone("shop.test", "a.shop.test", "TXT")
    assert (alias.status, alias.aliases) == ("nodata", ("b.shop.test",))
