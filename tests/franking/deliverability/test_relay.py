"""One node's own look at itself: what is asked, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from franking.db import utcnow
from franking.deliverability import resolvers
from franking.deliverability.config import Deliverability
from franking.deliverability.findings import Check, Finding, ok, run
from franking.deliverability.listeners import Peer
from franking.deliverability.relay import examine, helo_name
from franking.dns.lookups import Resolvers
from franking.domains import lost
from franking.settings import Settings
from stack.postfix import write
from tests.dns.fakedns import FakeDns

Make = Callable[..., Settings]
RELAY = """
out1 A 192.0.2.25
out1 AAAA 2001:db8::25
bounce MX 10 out1
bounce TXT "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all"
dmarc MX 10 out2
out2 A 192.0.2.26
spf TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/64 -all"
"""


@pytest.fixture
def whole(world: FakeDns, node: Make) -> Settings:
    """Everything set, and right."""
    world.set_zone("relay.test", RELAY)
    world.set_zone("dkim.relay.test", "")
    world.set_zone("bl.list.test", "")
    world.set_zone("2.0.192.in-addr.arpa", "25 PTR out1.relay.test.")
    world.set_zone("8.b.d.0.1.0.0.2.ip6.arpa", f"5.2{'.0' * 22} PTR out1.relay.test.")
    return node(
        bounces={"domain": "bounce.relay.test"},
        dmarc={"reports": "dmarc.relay.test"},
        dkim={"zone": "dkim.relay.test"},
        dns={"spf": "include:spf.relay.test"},
        deliverability={
            "addresses": ["192.0.2.25", "2001:db8::25", "192.0.2.25"],
            "blocklists": ["bl.list.test"],
        },
    )


def test_all_that_is_asked(whole: Settings, world: FakeDns, lookup: Resolvers) -> None:
    """The reports go to another node of ours."""
    found = examine(whole, lookup, utcnow(), [Peer("n2", ("192.0.2.26",), ())])
    assert [(f.name, f.subject, f.status) for f in found] == [
        ("resolver", str(world), "ok"),
        ("helo", "out1.relay.test", "ok"),
        ("ptr", "192.0.2.25", "ok"),
        ("ptr", "2001:db8::25", "ok"),
        ("dnsbl", "192.0.2.25 bl.list.test", "ok"),
        ("dnsbl", "2001:db8::25 bl.list.test", "ok"),
        ("mx", "bounce.relay.test", "ok"),
        ("mx", "dmarc.relay.test", "ok"),
        ("spf", "include:spf.relay.test", "ok"),
        ("spf", "bounce.relay.test", "ok"),
        ("dkim zone", "dkim.relay.test", "ok"),
    ]


def test_reports_to_a_stranger(whole: Settings, lookup: Resolvers) -> None:
    found = {(f.name, f.subject): f.status for f in examine(whole, lookup, utcnow())}
    assert found["mx", "dmarc.relay.test"] == "fail"


def test_without_addresses_nobody_is_asked(world: FakeDns, node: Make, lookup: Resolvers) -> None:
    settings = node(bounces={"domain": "bounce.relay.test"}, dns={"spf": "include:x.test"})
    (found,) = examine(settings, lookup, utcnow())
    assert (found.name, found.status) == ("addresses", "warn")
    assert 'addresses = ["192.0.2.1", …]' in found.fix
    assert not world.asked


def test_a_resolver_that_is_dead(world: FakeDns, node: Make) -> None:
    """With one of them, nothing is ever seen by all."""
    alive, dead = str(world), f"127.0.0.3@{world.port}"
    settings = node(dns={"resolvers": [alive, dead], "timeout": 0.2})
    found = resolvers.each(settings, Resolvers(settings.dns))
    assert [(f.subject, f.status) for f in found] == [(alive, "ok"), (dead, "fail")]
    assert found[1].fix == "have it answer, or remove it from dns.resolvers"
    settings = node(dns={"resolvers": [dead], "timeout": 0.2})
    (only, *_rest) = examine(settings, Resolvers(settings.dns), utcnow())
    assert (only.subject, only.status) == (dead, "warn"), "a laptop"


def test_what_is_known_of_the_dkim_zone(whole: Settings, lookup: Resolvers) -> None:
    known = lost.Known([("frank1.k1.dkim.relay.test", "v=DKIM1; p=1")], 3, "frank1.k1.old.test")
    found = examine(whole, lookup, utcnow(), zone=known)
    assert [(f.subject, f.status) for f in found if f.name == "dkim zone"] == [
        ("dkim.relay.test", "fail"), ("former zone", "warn"),
    ]  # fmt: skip


def test_helo_is_what_postfix_says(node: Make, tmp_path: Path) -> None:
    settings = node(
        deliverability={"helo": ""}, maillog={"config_directory": tmp_path},
        smtp={"host": "smtp.relay.test"},
    )  # fmt: skip
    assert helo_name(settings) == "smtp.relay.test"  # no main.cf there
    write(tmp_path / "main.cf", "myhostname = Out7.relay.test\n")
    assert helo_name(settings) == "out7.relay.test"
    named = node(deliverability={"helo": "Out9.Relay.test."})
    assert helo_name(named) == "out9.relay.test"


def test_a_check_that_breaks_is_a_finding() -> None:
    def breaks() -> Finding:
        raise ZeroDivisionError("by\x1bzero")

    found = run([Check("one", "x", breaks), Check("two", "", lambda: ok("two", "", "fine"))])
    assert [(f.name, f.status, f.certain) for f in found] == [
        ("one", "warn", False), ("two", "ok", True),
    ]  # fmt: skip
    assert found[0].detail == "ZeroDivisionError: by?zero"


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("blocklists", "zen spamhaus"),
        ("blocklists", "localhost"),
        ("domain_blocklists", f"{'x' * 60}.{'x' * 60}.{'x' * 60}.test"),
        ("egress", "mx.test@0"),
        ("egress", "mx.test@65536"),
        ("egress", "mx.test 25"),
        ("addresses", "192.0.2.256"),
    ],
)
def test_settings_that_cannot_be(setting: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match=setting):
        Deliverability.model_validate({setting: [wrong]})


def test_settings_are_taken_as_names() -> None:
    own = Deliverability(blocklists=("Zen.Spamhaus.org.", "zen.spamhaus.org"))
    assert own.blocklists == ("zen.spamhaus.org",)
