"""A key signs only while everybody sees it, and it alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from franking.domains.records import Record
from franking.domains.rotation.visibility import sees
from tests.dns.fakedns import FakeDns
from tests.dns.world import lookups

KEY = Record("dkim", "s1._domainkey.shop.test", "TXT", "v=DKIM1; k=rsa; p=AbC")
ALIAS = "s1._domainkey CNAME s1.token.keys.test.\n"


@pytest.fixture
def servers() -> Iterator[tuple[FakeDns, FakeDns]]:
    """What the first says is the truth; the second is a resolver."""
    with FakeDns({}) as own, FakeDns({}) as resolver:
        yield own, resolver


def seen(servers: tuple[FakeDns, FakeDns], zone: str, cached: str | None = None) -> bool | None:
    """`cached`: what the resolver says."""
    own, resolver = servers
    own.set_zone("shop.test", zone)
    resolver.set_zone("shop.test", zone if cached is None else cached)
    return sees(lookups(own, resolver, port=own.port, timeout=1.5), KEY)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ('s1._domainkey TXT "v=DKIM1; k=rsa; p=AbC"', True),
        ('s1._domainkey TXT "v=DKIM1;k=rsa;" "p=A" "bC;"', True),
        ('s1._domainkey TXT "k=rsa; p=AbC; t=s"', True),
        ('s1._domainkey TXT "v=DKIM1; k=rsa; p=abc"', False),
        ('s1._domainkey TXT "v=DKIM1; k=ed25519; p=AbC"', False),
        ('s1._domainkey TXT "v=DKIM1; k=rsa; p="', False),
        ('s1._domainkey TXT "v=DKIM2; k=rsa; p=AbC"', False),
        ('s1._domainkey TXT "v=DKIM1; k=rsa; p=AbC"\ns1._domainkey TXT "v=DKIM1; p=x"', False),
        ("s2._domainkey TXT x", False),
        ("", False),
    ],
)
def test_the_zone(servers: tuple[FakeDns, FakeDns], zone: str, expected: bool) -> None:
    assert seen(servers, zone) is expected


def test_behind_a_cname(servers: tuple[FakeDns, FakeDns]) -> None:
    assert seen(servers, ALIAS) is not True
    for each in servers:
        each.set_zone("keys.test", 's1.token TXT "v=DKIM1; k=rsa; p=AbC"')
    assert seen(servers, ALIAS) is True
    servers[1].set_zone("keys.test", 's1.token TXT "v=DKIM1; k=rsa; p=old"')
    assert seen(servers, ALIAS) is False


def test_every_resolver_counts(servers: tuple[FakeDns, FakeDns]) -> None:
    zone = f's1._domainkey TXT "{KEY.value}"'
    assert seen(servers, zone, cached="") is False
    servers[1].faults = {"s1._domainkey.shop.test": "servfail"}
    assert seen(servers, zone) is None
    servers[1].faults = {}
    assert seen(servers, zone) is True


def test_nobodys_answer_is_no_proof(servers: tuple[FakeDns, FakeDns]) -> None:
    zone = f's1._domainkey TXT "{KEY.value}"'
    servers[0].faults = {"s1._domainkey.shop.test": "refuse"}
    assert seen(servers, zone) is None
    assert seen(servers, zone, cached="") is False, "somebody has said that it is not there"
