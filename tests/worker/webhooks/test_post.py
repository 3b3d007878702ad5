"""One delivery, against real servers of every kind; and what it must never connect to."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import trustme
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from franking.webhooks import addresses
from franking.webhooks.config import Webhooks
from franking.webhooks.queue import Claimed, Outcome
from tests.receiver import HUGE, Receiver, receiver
from worker.webhooks import guard
from worker.webhooks.post import Target, post

SECRETS = tuple("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = '{"type":"balance.low","timestamp":"2026-07-14T10:00:00+00:00","data":{"account":"käse"}}'
LONG = 30.0  # seconds; a promise that waits end, not how fast
LAB = Webhooks(allow_private=True, allow_http=True, ports=())


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with guard.session(LAB) as session:
        yield session


def deliver(
    http: requests.Session, url: str, *, timeout: float = LONG, secrets: tuple[str, ...] = SECRETS
) -> Outcome:
    now = datetime.now(UTC)
    claimed = Claimed(1, "notice_17", "balance.low", BODY, 0, now + timedelta(minutes=1), 1)
    return post(http, Target(url, secrets), claimed, timeout=timeout, now=now)


def test_the_reference_library_verifies_each_live_secret(
    server: Receiver, http: requests.Session
) -> None:
    assert deliver(http, f"{server.url}/ok") == Outcome(200)
    (request,) = server.requests
    assert request.headers["webhook-id"] == "notice_17"
    assert request.headers["Content-Type"] == "application/json"
    for secret in SECRETS:
        said = Webhook(secret).verify(request.body, dict(request.headers.items()))
        assert said == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(request.body, dict(request.headers.items()))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS[0]).verify(request.body + b" ", dict(request.headers.items()))


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("fail", Outcome(500, "HTTP 500: answer to /fail")),
        ("gone", Outcome(410, "the endpoint wants no more", gone=True)),
        ("redirect", Outcome(302, "HTTP 302: redirects are not followed")),
        (
            "close",
            Outcome(None, "ConnectionError: Remote end closed connection without response"),
        ),
    ],
)
def test_what_is_not_taken(
    server: Receiver, http: requests.Session, path: str, outcome: Outcome
) -> None:
    assert deliver(http, f"{server.url}/{path}") == outcome
    assert [request.path for request in server.requests] == [f"/{path}"]


@pytest.mark.parametrize("path", ["hang", "drip", "endless"])
def test_no_server_keeps_us(server: Receiver, http: requests.Session, path: str) -> None:
    """`drip` and `endless` send something before every single wait for them is over."""
    outcome = deliver(http, f"{server.url}/{path}", timeout=0.5)
    assert outcome.error in {"no whole answer within 0.5 s", "no connection or no answer in time"}
    assert deliver(http, f"{server.url}/ok") == Outcome(200)


def test_a_huge_answer_is_not_read(server: Receiver, http: requests.Session) -> None:
    """What the sockets' buffers take is sent, no more is waited for."""
    assert deliver(http, f"{server.url}/huge") == Outcome(200)
    assert server.ended.wait(LONG)
    assert server.sent < HUGE


def test_nobody_there(http: requests.Session) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        outcome = deliver(http, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert outcome.status is None
    assert outcome.error == "ConnectionError: [Errno 111] Connection refused"


def test_one_connection_is_enough_and_no_cookie_is_kept(
    server: Receiver, http: requests.Session
) -> None:
    """Endpoints of two customers may share a host."""
    for _ in range(3):
        assert deliver(http, f"{server.url}/cookie") == Outcome(200)
    assert server.connections == 1
    assert all("Cookie" not in request.headers for request in server.requests)


def test_proxies_and_passwords_of_the_environment_are_not_used(
    server: Receiver, http: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login root password toor\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert deliver(http, f"{server.url}/ok") == Outcome(200)
    assert "Authorization" not in server.requests[0].headers


def test_tls(tmp_path: Path) -> None:
    """Known authority and right name, and each of them wrong."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    rules = LAB.model_copy(update={"ca_file": tmp_path / "ca.pem"})
    with guard.session(rules) as http, receiver(authority) as good:
        assert deliver(http, f"{good.url}/ok") == Outcome(200)
        assert (
            deliver(http, f"{good.url}/drip", timeout=0.5).error == "no whole answer within 0.5 s"
        )
    for other in (receiver(stranger), receiver(authority, "example.com")):
        with guard.session(rules) as http, other as bad:
            outcome = deliver(http, f"{bad.url}/ok")
            assert outcome.status is None
            assert outcome.error is not None and outcome.error.startswith("TLS: ")
            assert bad.requests == []


# --- private space: protocols of the Internet have many ways to write the same address ---------

PRIVATE = (
    "127.0.0.1", "127.1", "127.255.255.254", "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1",
    "017700000001", "0177.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST.", "[::1]", "[::]",
    "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::7f00:1]",
    "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::]", "169.254.169.254", "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]", "2852039166", "0xa9fea9fe", "169.254.1.1", "10.0.0.1", "10.255.255.255",
    "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254", "[::ffff:192.168.0.1]",
    "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[ff02::1]",
    "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[100::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_space_is_not_connected_to(
    host: str, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard alone: as if the URL had got past `addresses.checked`."""
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    port = server.url.rpartition(":")[2]
    with guard.session(Webhooks()) as http:
        outcome = deliver(http, f"http://{host}:{port}/ok")
    assert outcome.status is None and outcome.error is not None
    assert connected == [] and server.requests == []


def test_a_name_is_judged_by_the_address_that_is_connected_to(
    server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers with a public address first and a private one then (rebinding)."""
    port = int(server.url.rpartition(":")[2])
    asked: list[str] = []
    connected: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        if host == "rebinding.test":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError(111, "not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with guard.session(Webhooks()) as http:
        deliver(http, f"http://rebinding.test:{port}/ok")
        assert connected == ["93.184.216.34"]
        outcome = deliver(http, f"http://rebinding.test:{port}/ok")
    assert outcome.error == "the name leads to an address that is not of the public Internet"
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_the_public_internet_is_allowed(address: str) -> None:
    assert not addresses.forbidden(ipaddress.ip_address(address))
