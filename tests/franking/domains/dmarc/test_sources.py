"""Whose mail it is, from a report's record alone."""

from __future__ import annotations

import ipaddress

import pytest

from franking.domains.dmarc import known
from franking.domains.dmarc.reports import Auth, Row, read_report
from franking.domains.dmarc.sources import RELAY, Own, is_unknown, name_of, networks_of
from tests.reports import CORPUS

OWN = Own(
    "example.com",
    networks_of("ip4:198.51.100.0/28 ip6:2001:db8:25::/48 include:x.example ip4:nonsense"),
    ("bounce.example.com", "bounce.relay.example"),
    frozenset({"s2026q4"}),
)


def row(
    ip: str = "203.0.113.9", *, dkim: tuple[Auth, ...] = (), spf: str = "", said: str = "pass"
) -> Row:
    found = (Auth(spf, said),) if spf else ()
    return Row(ip, 1, "none", False, False, "example.com", None, dkim, found)


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("google.xml", [RELAY, "Google Workspace", "unknown 203.0.113.0/24"]),
        ("microsoft.xml", [RELAY, "Microsoft 365"]),
        ("yahoo.xml", ["Amazon SES"]),
        ("fastmail.xml", [RELAY]),
        ("mailru.xml", [RELAY]),
    ],
)
def test_sources_of_the_corpus(file: str, names: list[str]) -> None:
    report = read_report((CORPUS / file).read_bytes())
    assert [name_of(each, OWN) for each in report.rows] == names


@pytest.mark.parametrize(
    "seen",
    [
        row("198.51.100.3"),
        row("2001:db8:25:1::1"),
        row(spf="bounce.example.com"),
        row(spf="x.bounce.relay.example"),
        row(dkim=(Auth("other.example", "pass", "a"), Auth("example.com", "pass", "s2026q4"))),
    ],
    ids=["ipv4", "ipv6", "return path", "below the bounce domain", "second signature"],
)
def test_the_relay_s_own_mail(seen: Row) -> None:
    assert name_of(seen, OWN) == RELAY


@pytest.mark.parametrize(
    "seen",
    [
        row("198.51.100.16"),
        row(spf="bounce.example.com", said="fail"),
        row(spf="notbounce.example.com"),
        row(dkim=(Auth("example.com", "fail", "s2026q4"),)),
        row(dkim=(Auth("example.com", "pass", "k1"),)),
        row(dkim=(Auth("example.org", "pass", "s2026q4"),)),
        row(dkim=(Auth("amazonses.com", "fail", "x"),)),
        row(dkim=(Auth("amazonses.com.evil.example", "pass", "x"),)),
    ],
)
def test_what_only_looks_like_ours_or_a_service_s_is_unknown(seen: Row) -> None:
    assert is_unknown(name_of(seen, OWN))


def test_unknown_sources_are_told_apart_by_network() -> None:
    assert name_of(row("203.0.113.9"), OWN) == "unknown 203.0.113.0/24"
    assert name_of(row("2001:db8:1:2:3::4"), OWN) == "unknown 2001:db8:1::/48"
    longest = name_of(row("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), OWN)
    assert len(longest) <= 64


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (row(dkim=(Auth("example-com.20230601.gappssmtp.com", "pass"),)), "Google Workspace"),
        (row(dkim=(Auth("contoso.onmicrosoft.com", "pass"),)), "Microsoft 365"),
        (row(spf="em123.sendgrid.net"), "SendGrid"),
        (row(spf="pm.mtasv.net"), "Postmark"),
        (row(dkim=(Auth("mailgun.org", "pass"),)), "Mailgun"),
        (row(spf="mail12.suw11.mcsv.net"), "Mailchimp"),
        (row(dkim=(Auth("brevosend.com", "pass"),)), "Brevo"),
        (row("209.85.220.41"), "Google Workspace"),
        (row("40.107.22.57"), "Microsoft 365"),
        (row("136.143.188.51"), "Zoho"),
        (row("103.168.172.151"), "Fastmail"),
    ],
)
def test_known_services(seen: Row, name: str) -> None:
    assert name_of(seen, OWN) == name


def test_the_table_is_sound() -> None:
    """No name twice, no domain of two services, no network within another's."""
    names = [service.name for service in known.SERVICES]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 and not is_unknown(name) and name != RELAY for name in names)
    networks = [
        (service.name, ipaddress.ip_network(text))
        for service in known.SERVICES
        for text in service.networks
    ]
    for field in ("signers", "senders"):
        domains = [(s.name, d) for s in known.SERVICES for d in set(getattr(s, field))]
        assert len({domain for _, domain in domains}) == len(domains)
    clashes = [
        (mine, theirs)
        for mine, network in networks
        for theirs, other in networks
        if mine != theirs and network.version == other.version and network.overlaps(other)
    ]
    assert clashes == []
