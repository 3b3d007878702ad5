"""Debian's servers do for the tests what they do in the world: take updates, and remember."""

from __future__ import annotations

from collections.abc import Iterator

import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from tests.dns.knot import Knot
from tests.dns.unbound import Unbound
from tests.dns.world import lookups


@pytest.fixture(scope="module")
def knot() -> Iterator[Knot]:
    with Knot({"relay.test": 'old TXT "old"'}) as server:
        yield server


def update(knot: Knot, secret: str) -> dns.update.UpdateMessage:
    keys = dns.tsigkeyring.from_text({knot.tsig_name: secret})
    made = dns.update.UpdateMessage("relay.test", keyring=keys, keyalgorithm=dns.tsig.HMAC_SHA256)
    made.replace("new", 60, "TXT", '"v=DKIM1; p=AAAA"')
    made.delete("old")
    return made


def test_dynamic_update(knot: Knot) -> None:
    """RFC 2136 with RFC 8945: what is signed with the secret is seen at once."""
    said = dns.query.tcp(update(knot, knot.tsig_secret), knot.address, 10, knot.port)
    assert said.rcode() == dns.rcode.NOERROR
    lookup = lookups(knot, port=knot.port)
    assert lookup.authoritative("new.relay.test", "TXT").values == ("v=DKIM1; p=AAAA",)
    assert lookup.authoritative("old.relay.test", "TXT").status == "nxdomain"


def test_an_update_with_another_secret(knot: Knot) -> None:
    with pytest.raises(dns.tsig.PeerBadSignature):
        dns.query.tcp(update(knot, "A" * 43 + "="), knot.address, 10, knot.port)


def test_a_resolver_remembers(knot: Knot) -> None:
    """The zone's own server says what is new while the resolver still says what was."""
    knot.set_zone("shop.test", 'a TXT "old"')
    with Unbound(knot.port) as resolver:
        lookup = lookups(resolver, port=knot.port)
        assert lookup.resolved("a.shop.test", "TXT")[0].values == ("old",)
        knot.set_zone("shop.test", 'a TXT "new"')
        assert lookup.authoritative("a.shop.test", "TXT").values == ("new",)
        assert lookup.resolved("a.shop.test", "TXT")[0].values == ("old",)
        resolver.flush()
        assert lookup.resolved("a.shop.test", "TXT")[0].values == ("new",)


def test_a_zone_that_knot_cannot_read_is_named() -> None:
    with pytest.raises(AssertionError, match="too many right"), Knot({"shop.test": "a TXT )"}):
        pass
