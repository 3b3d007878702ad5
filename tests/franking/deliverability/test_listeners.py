"""Certificates and ports, over real TLS: from here, from another node, and a probe of anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from franking.db import utcnow
from franking.deliverability import elsewhere, listeners
from franking.deliverability.findings import Finding, run
from franking.deliverability.listeners import Peer
from franking.dns.lookups import Resolvers
from franking.settings import Settings
from tests.dns.fakedns import FakeDns
from tests.franking.deliverability.conftest import NOBODY
from tests.franking.deliverability.listener import AUTHORITY, Listener, listener

Make = Callable[..., Settings]
UNTIL = datetime(3000, 1, 1, tzinfo=UTC)  # trustme's certificates


def at(node: Make, port: int, name: str = "submission", **own: Any) -> Settings:
    """A node with one listener."""
    smtp = {"host": "127.0.0.1", "ports": {name: port}}
    return node(smtp=smtp, listeners=NOBODY | {name: {"enabled": True}}, deliverability=own)


def own(settings: Settings, now: datetime | None = None) -> Finding:
    (found,) = run(listeners.own(settings, now or utcnow()))
    return found


@pytest.mark.parametrize(
    ("name", "manner"),
    [("submission", "starttls"), ("submissions", "implicit"), ("smtp", "starttls")],
)
def test_a_good_certificate(name: str, manner: str, node: Make) -> None:
    with listener(manner) as opened:
        found = own(at(node, opened.port, name))
        assert found.status == "ok", found
        assert found.subject == f"{name}:{opened.port}"
        assert found.detail == "TLSv1.3, for 127.0.0.1, expires 3000-01-01 00:00Z"


@pytest.mark.parametrize(
    ("left", "status"),
    [(22, "ok"), (21, "warn"), (4, "warn"), (3, "fail"), (0, "fail")],
)
def test_a_certificate_that_expires(left: int, status: str, node: Make) -> None:
    with listener() as opened:
        found = own(at(node, opened.port), UNTIL - timedelta(days=left))
        assert (found.status, bool(found.fix)) == (status, status != "ok")


@pytest.mark.parametrize(("hours", "status"), [(80, "ok"), (36, "warn"), (12, "fail")])
def test_a_certificate_of_a_week_is_judged_by_its_life(hours: int, status: str, node: Make) -> None:
    now = utcnow()
    leaf = AUTHORITY.issue_cert(
        "127.0.0.1", not_before=now - timedelta(hours=160 - hours),
        not_after=now + timedelta(hours=hours),
    )  # fmt: skip
    with listener(certificate=leaf) as opened:
        assert own(at(node, opened.port), now).status == status


def test_an_expired_certificate(node: Make) -> None:
    leaf = AUTHORITY.issue_cert("127.0.0.1", not_after=datetime(2026, 1, 1, tzinfo=UTC))
    with listener(certificate=leaf) as opened:
        found = own(at(node, opened.port))
    assert (found.status, found.detail) == ("fail", "expired 2026-01-01 00:00Z")


def test_another_hosts_certificate(node: Make) -> None:
    leaf = AUTHORITY.issue_cert("smtp.other.test", "192.0.2.9")
    with listener(certificate=leaf) as opened:
        found = own(at(node, opened.port))
    assert found.status == "fail"
    assert found.detail == "is for smtp.other.test, 192.0.2.9, and customers are told 127.0.0.1"


def test_a_chain_without_its_middle(node: Make) -> None:
    leaf = AUTHORITY.create_child_ca().issue_cert("127.0.0.1")
    with listener(certificate=leaf) as opened:
        assert own(at(node, opened.port)).status == "ok"
    with listener(certificate=leaf, chain=False) as opened:
        found = own(at(node, opened.port))
    assert (found.status, "intermediate" in found.fix) == ("fail", True)


def test_an_authority_that_nobody_knows(node: Make) -> None:
    with listener() as opened:
        found = own(at(node, opened.port, ca_file=None))
    assert (found.status, "deliverability.ca_file" in found.fix) == ("fail", True)


def test_a_weak_key(node: Make) -> None:
    with listener(certificate=weak()) as opened:
        found = own(at(node, opened.port))
    assert (found.status, found.detail) == ("fail", "its key is weak: RSA, 1024 bits")


def weak() -> trustme.LeafCert:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    now = utcnow()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=90))
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return trustme.LeafCert(pem, made.public_bytes(Encoding.PEM), [])


def test_no_starttls(node: Make) -> None:
    with listener("plain") as opened:
        found = own(at(node, opened.port))
    assert found.status == "fail"
    assert found.detail == "offers no STARTTLS: mx.relay.test ESMTP (no STARTTLS)"


@pytest.mark.parametrize(
    ("manner", "said"),
    [
        ("silent", "timed out"),
        ("drip", "timed out"),
        ("endless", "a line of more than 2048 octets"),
        ("554 go\x1b[2Jaway", "answered '554 go?[2Jaway' instead of 220"),
        ("SSH-2.0-x", "answered 'SSH-2.0-x' instead of 220"),
    ],
)
def test_what_is_no_mail_server(manner: str, said: str, node: Make) -> None:
    with listener(manner) as opened:
        found = own(at(node, opened.port, timeout=0.3))
    assert (found.status, said in found.detail) == ("fail", True), found


def test_nobody_listens(node: Make) -> None:
    found = own(at(node, closed_port()))
    assert found.status == "fail"
    assert "Connection refused" in found.detail
    assert "is Postfix running?" in found.fix


def closed_port() -> int:
    with listener() as opened:
        return opened.port


def peer(opened: Listener | int, name: str = "submission", address: str = "127.0.0.1") -> Peer:
    port = opened if isinstance(opened, int) else opened.port
    return Peer("n2", (address,), ((name, port),))  # type: ignore[arg-type]


def reach(settings: Settings, whom: Peer) -> Finding:
    (found,) = run(listeners.reach(settings, [whom]))
    return found


@pytest.mark.parametrize(("name", "manner"), [("smtp", "starttls"), ("submissions", "implicit")])
def test_another_nodes_listener(name: str, manner: str, node: Make) -> None:
    """Whatever its certificate: that is for the node itself to see."""
    leaf = trustme.CA().issue_cert("other.test")
    with listener(manner, leaf) as opened:
        found = reach(node(), peer(opened, name))
    assert (found.status, found.subject) == ("ok", f"n2 127.0.0.1:{opened.port}")
    assert found.detail == "TLSv1.3, mx.relay.test ESMTP"


def test_another_nodes_listener_is_shut(node: Make) -> None:
    found = reach(node(), peer(closed_port()))
    assert (found.status, "firewall" in found.fix) == ("fail", True)
    with listener("plain") as opened:
        found = reach(node(), peer(opened))
    assert (found.status, "hides STARTTLS" in found.fix) == ("fail", True)


def test_no_way_there_says_nothing_about_the_other(node: Make) -> None:
    """Linux connects to no multicast address; a node without IPv6 fares alike."""
    found = reach(node(), peer(25, "smtp", "224.0.0.1"))
    assert (found.status, found.certain) == ("warn", False)


def egress(settings: Settings, lookup: Resolvers) -> Finding:
    (found,) = run(elsewhere.egress(lookup, settings.deliverability))
    return found


def test_the_way_out(world: FakeDns, lookup: Resolvers, node: Make) -> None:
    world.set_zone("elsewhere.test", "mx A 127.0.0.1\nempty TXT nothing")
    with listener("plain", greeting="elsewhere \x07") as opened:
        settings = node(deliverability={"egress": [f"mx.elsewhere.test@{opened.port}"]})
        found = egress(settings, lookup)
        assert (found.status, found.detail) == ("ok", "elsewhere ?")
    found = egress(settings, lookup)
    assert (found.status, "Connection refused" in found.detail) == ("fail", True)
    found = egress(node(deliverability={"egress": ["empty.elsewhere.test"]}), lookup)
    assert (found.status, found.detail) == ("fail", "has neither A nor AAAA")
    world.faults["."] = "servfail"
    assert egress(settings, lookup).certain is False


def test_a_probe_of_any_host(world: FakeDns, lookup: Resolvers, node: Make) -> None:
    world.set_zone("elsewhere.test", "mx A 127.0.0.1")
    leaf = AUTHORITY.issue_cert("mx.elsewhere.test")
    own, now = node().deliverability, utcnow()
    with listener(certificate=leaf) as one, listener("implicit") as two:
        ports: dict[int, Any] = {one.port: "starttls", two.port: "implicit"}
        found = run(elsewhere.probe(lookup, own, "mx.elsewhere.test", ports, now))
    assert [(f.name, f.status) for f in found] == [
        ("probe", "ok"), ("certificate", "ok"), ("probe", "ok"), ("certificate", "fail"),
    ]  # fmt: skip
    (shut,) = run(elsewhere.probe(lookup, own, "127.0.0.1", {closed_port(): "starttls"}, now))
    assert (shut.status, "refused" in shut.detail) == ("fail", True)
    (none,) = run(elsewhere.probe(lookup, own, "none.test", {25: "starttls"}, now))
    assert (none.status, none.detail) == ("fail", "has neither A nor AAAA")
