"""Where zones begin, and who serves them: delegations, moves, and what others say about a zone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from franking.dns.lookups import ALIASES
from tests.dns.fakedns import FakeDns
from tests.dns.world import lookups


@pytest.fixture
def above() -> Iterator[FakeDns]:
    """The root, `test`, and the only resolver; servers of zones are 127.0.0.2 and 127.0.0.3."""
    with FakeDns({"test": "shop NS ns.shop\nns.shop A 127.0.0.2"}) as server:
        yield server


@pytest.fixture
def shop(above: FakeDns) -> Iterator[FakeDns]:
    text = "@ NS ns\nns A 127.0.0.2\na TXT first\nalias CNAME a.other.test.\nb CNAME a.sub"
    with FakeDns({"shop.test": text}, address="127.0.0.2", port=above.port, root=False) as server:
        above.friends.append(server)
        yield server


@pytest.fixture
def third(above: FakeDns, shop: FakeDns) -> Iterator[FakeDns]:
    with FakeDns({}, address="127.0.0.3", port=above.port, root=False) as server:
        above.friends.append(server)
        yield server


def test_down_the_referrals(above: FakeDns, shop: FakeDns) -> None:
    """Also from a zone further above, which another question has made known."""
    lookup = lookups(above, port=above.port)
    assert lookup.authoritative("x.nothing.test", "TXT").status == "nxdomain"
    shop.asked.clear()
    answer = lookup.authoritative("a.shop.test", "TXT")
    assert (answer.values, answer.server) == (("first",), str(shop))
    assert lookup.zone_of("a.shop.test") == "shop.test"


def test_few_questions(above: FakeDns, shop: FakeDns) -> None:
    """Once the zone is known, a question is one question, and one more for where zones begin."""
    lookup = lookups(above, port=above.port)
    lookup.authoritative("a.shop.test", "TXT")
    above.asked.clear()
    shop.asked.clear()
    for name in "abcdefgh":
        lookup.authoritative(f"_{name}.shop.test", "TXT")
    assert not above.asked
    assert shop.asked.total() == 8
    for _ in range(3):
        lookup.zone_of("a.b.shop.test")
    assert above.asked == {("a.b.shop.test", "SOA"): 1}


def test_a_new_cut_is_seen_at_once(above: FakeDns, shop: FakeDns, third: FakeDns) -> None:
    lookup = lookups(above, port=above.port)
    assert lookup.authoritative("a.sub.shop.test", "TXT").status == "nxdomain"
    shop.set_zone("shop.test", "@ NS ns\nns A 127.0.0.2\nsub NS ns.sub\nns.sub A 127.0.0.3")
    third.set_zone("sub.shop.test", "@ NS ns\nns A 127.0.0.3\na TXT below")
    answer = lookup.authoritative("a.sub.shop.test", "TXT")
    assert (answer.values, answer.server) == (("below",), str(third))
    assert lookup.authoritative("b.shop.test", "TXT").status == "nxdomain"
    above_the_cut = lookup.in_zone("shop.test", "a.sub.shop.test", "TXT")
    assert above_the_cut.problem == "sub.shop.test is delegated to other servers"
    assert lookup.in_zone("sub.shop.test", "a.sub.shop.test", "TXT").values == ("below",)


def test_a_zone_that_has_moved(above: FakeDns, shop: FakeDns, third: FakeDns) -> None:
    """The resolver still knows the old servers, which go on answering."""
    third.set_zone("shop.test", "@ NS ns\nns A 127.0.0.3\na TXT moved")
    above.set_zone("test", "shop NS ns.new\nns.new A 127.0.0.3")
    lookup = lookups(above, port=above.port)
    assert lookup.resolved("a.shop.test", "TXT")[0].values == ("first",)
    answer = lookup.authoritative("a.shop.test", "TXT")
    assert (answer.values, answer.server) == (("moved",), str(third))


def test_a_zone_that_moves_meanwhile(above: FakeDns, shop: FakeDns, third: FakeDns) -> None:
    """The old servers are remembered until they are of no use any more."""
    lookup = lookups(above, port=above.port)
    assert lookup.authoritative("a.shop.test", "TXT").values == ("first",)
    third.set_zone("shop.test", "@ NS ns\nns A 127.0.0.3\na TXT moved")
    above.set_zone("test", "shop NS ns.new\nns.new A 127.0.0.3")
    assert lookup.authoritative("a.shop.test", "TXT").values == ("first",)
    shop.remove_zone("shop.test")
    assert lookup.authoritative("a.shop.test", "TXT").problem == f"{shop}: REFUSED"
    assert lookup.authoritative("a.shop.test", "TXT").values == ("moved",)


def test_a_zone_that_the_one_above_does_not_know(above: FakeDns, shop: FakeDns) -> None:
    """As with a resolver that has zones which are for the house only."""
    above.set_zone("test", "")
    answer = lookups(above, port=above.port).authoritative("a.shop.test", "TXT")
    assert (answer.values, answer.server) == (("first",), str(shop))


def test_an_alias_is_not_answered_by_its_own_zone(
    above: FakeDns, shop: FakeDns, third: FakeDns
) -> None:
    """A server says what it likes about zones that are not its own."""
    shop.set_zone("other.test", "a TXT forged")
    third.set_zone("other.test", "@ NS ns\nns A 127.0.0.3\na TXT real")
    delegations = "shop NS ns.shop\nns.shop A 127.0.0.2\nother NS ns.other\nns.other A 127.0.0.3"
    above.set_zone("test", delegations)
    above.friends.remove(shop)
    answer = lookups(above, port=above.port).authoritative("alias.shop.test", "TXT")
    assert (answer.values, answer.aliases) == (("real",), ("a.other.test",))


@pytest.mark.parametrize(("aliases", "status"), [(ALIASES, "found"), (ALIASES + 1, "trouble")])
def test_a_long_chain(aliases: int, status: str) -> None:
    chain = "\n".join(f"c{n} CNAME c{n + 1}" for n in range(aliases))
    with FakeDns({"shop.test": f"{chain}\nc{aliases} TXT end"}) as server:
        answer = lookups(server, port=server.port).authoritative("c0.shop.test", "TXT")
    assert answer.status == status
    assert len(answer.aliases) == ALIASES


def test_lame_delegation(above: FakeDns, third: FakeDns) -> None:
    """The zone above refers to a server that has never heard of the zone."""
    above.set_zone("test", "lame NS ns.lame\nns.lame A 127.0.0.3\nfar NS ns.elsewhere")
    lookup = lookups(above, port=above.port)
    assert lookup.zone_of("a.lame.test") is None
    assert lookup.resolved("a.lame.test", "TXT")[0].problem == "SERVFAIL"
    answer = lookup.authoritative("a.lame.test", "TXT")
    assert (answer.status, answer.problem) == ("trouble", f"{third}: REFUSED")
    nowhere = lookup.authoritative("a.far.test", "TXT")
    assert nowhere.problem == "no address of the servers of far.test"


def test_zones_without_the_resolver_naming_them() -> None:
    """systemd-resolved leaves the SOA record out of an answer that there is nothing."""
    zones = {"shop.test": "a.b TXT here"}
    with FakeDns(zones, faults={".": "bare"}) as server:
        lookup = lookups(server, port=server.port)
        assert lookup.zone_of("x.a.b.shop.test") == "shop.test"
        assert lookup.zone_of("x.example") == "."
        assert lookup.authoritative("a.b.shop.test", "TXT").values == ("here",)


def test_a_cname_at_the_top_of_a_zone(above: FakeDns, shop: FakeDns) -> None:
    """Forbidden, and seen in the wild: it hides everything else, the SOA record as well."""
    shop.set_zone("shop.test", "@ CNAME a.other.test.\n@ NS ns\nns A 127.0.0.2\nalias CNAME a")
    lookup = lookups(above, port=above.port)
    above.friends.remove(shop)
    above.set_zone("shop.test", "@ CNAME a.other.test.")
    assert lookup.zone_of("shop.test") == "shop.test"
    assert lookup.in_zone("shop.test", "shop.test", "CNAME").values == ("a.other.test",)


def test_zone_of_an_alias(above: FakeDns, shop: FakeDns) -> None:
    lookup = lookups(above, port=above.port)
    assert lookup.zone_of("alias.shop.test") == "shop.test"
