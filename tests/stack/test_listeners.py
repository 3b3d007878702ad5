"""What each port offers, by default and as an operator may have it; and new certificates.

Whether a key may be used in clear text is policyd's to decide: tests/dialogs/auth-networks.txt.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.listeners import SERVICES, ListenerName
from stack import banner, certificates
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

BOTH = ["PLAIN", "LOGIN"]
PATIENCE = 20  # seconds


def port_of(stack: RunningStack, listener: ListenerName) -> int:
    return stack.ports.smtp_ports()[listener]


def trusting(stack: RunningStack) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=stack.instance.ca_file)


def connect(stack: RunningStack, listener: ListenerName, *, tls: bool) -> smtplib.SMTP:
    """A session after EHLO, inside TLS or not; on 465 there is only inside."""
    port = port_of(stack, listener)
    if listener == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            "localhost", port, timeout=PATIENCE, context=trusting(stack)
        )
    else:
        client = smtplib.SMTP("localhost", port, timeout=PATIENCE)
        if tls:
            client.starttls(context=trusting(stack))
    client.ehlo()
    return client


def mechanisms(client: smtplib.SMTP) -> list[str]:
    return client.esmtp_features.get("auth", "").split()


@pytest.fixture(scope="module")
def other(short_directory: Path) -> Iterator[RunningStack]:
    """Everything that an operator may have otherwise."""
    listeners = {
        "smtp": {"submission": True, "plaintext_auth": True},
        "submission": {"mechanisms": ["PLAIN"]},
        "alternate": {"enabled": False},
    }
    place = short_directory / "listeners"
    place.mkdir(mode=0o755)
    with RunningStack.started(place, settings={"listeners": listeners}) as running:
        yield running


@pytest.mark.parametrize(
    ("listener", "offered"),
    [("smtp", []), ("submission", BOTH), ("alternate", BOTH)],
)
def test_auth_is_offered_inside_tls_only(
    stack: RunningStack, listener: ListenerName, offered: list[str]
) -> None:
    with connect(stack, listener, tls=False) as client:
        assert client.has_extn("starttls") and mechanisms(client) == []
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] in (503, 530)
        client.starttls(context=trusting(stack))
        client.ehlo()
        assert mechanisms(client) == offered
        assert not client.has_extn("starttls") and not client.has_extn("chunking")


def test_465_is_tls_from_the_first_byte(stack: RunningStack) -> None:
    with connect(stack, "submissions", tls=True) as client:
        assert mechanisms(client) == BOTH
        assert not client.has_extn("starttls") and not client.has_extn("chunking")
    with socket.create_connection(("localhost", stack.ports.submissions), PATIENCE) as plain:
        plain.sendall(b"EHLO client.test\r\n\r\n")
        heard = b""
        with suppress(ConnectionResetError):
            heard = plain.recv(4096)
    assert b"220" not in heard


@pytest.mark.parametrize("listener", ["submission", "alternate"])
def test_nothing_but_starttls_where_tls_is_required(
    stack: RunningStack, listener: ListenerName
) -> None:
    with connect(stack, listener, tls=False) as client:
        said = client.docmd("MAIL", "FROM:<a@example.net>")
    assert said == (530, b"5.7.0 Must issue a STARTTLS command first")


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_25_is_for_other_servers(stack: RunningStack, tls: bool) -> None:
    with connect(stack, "smtp", tls=tls) as client:
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 503
        assert client.mail("a@example.net")[0] == 250
        code, text = client.rcpt("b@example.net")
    assert code == 554
    assert text.startswith(b"5.7.1 ") and b"Relay access denied" in text


@pytest.mark.parametrize("listener", SERVICES)
@pytest.mark.row("S4-1")
def test_tls_1_1_is_refused(stack: RunningStack, listener: ListenerName) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("localhost", port_of(stack, listener)), PATIENCE) as raw:
        if listener != "submissions":
            start_tls(raw)
        with pytest.raises(ssl.SSLError, match="alert protocol version"):  # the server's word
            context.wrap_socket(raw)


def start_tls(raw: socket.socket) -> None:
    """Up to the moment at which TLS begins; nobody else is on the line, so replies come whole."""
    assert raw.recv(4096).startswith(b"220 ")
    for command in (b"EHLO client.test", b"STARTTLS"):
        raw.sendall(command + b"\r\n")
        reply = raw.recv(4096)
    assert reply.startswith(b"220 ")


@pytest.mark.parametrize(
    ("cipher", "key"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", ec.EllipticCurvePublicKey),
        ("ECDHE-RSA-AES128-GCM-SHA256", rsa.RSAPublicKey),
    ],
)
def test_ecdsa_and_rsa_clients_are_served(stack: RunningStack, cipher: str, key: type) -> None:
    context = trusting(stack)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 does not name the key in its ciphers
    context.set_ciphers(cipher)
    with (
        socket.create_connection(("localhost", stack.ports.submissions), PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as session,
    ):
        assert (session.cipher() or ("",))[0] == cipher
        assert isinstance(certificate(session).public_key(), key)
        assert session.recv(4096).startswith(b"220 ")


def certificate(session: object) -> x509.Certificate:
    assert isinstance(session, ssl.SSLSocket)
    octets = session.getpeercert(binary_form=True)
    assert octets is not None
    return x509.load_der_x509_certificate(octets)


def test_a_new_certificate_drops_no_session(stack: RunningStack) -> None:
    """As postfix/README.md tells an operator to do it."""
    sender = stack.sender("new-certificate")
    with connect(stack, "submission", tls=True) as client:
        client.login(sender.username, sender.secret)
        before = certificate(client.sock)
        certificates.issue(stack.instance.tls)
        configuration = str(stack.instance.postfix)
        subprocess.run(["/usr/sbin/postfix", "-c", configuration, "reload"], check=True)

        def new_serial() -> bool:
            with connect(stack, "submission", tls=True) as newcomer:
                return certificate(newcomer.sock).serial_number != before.serial_number

        assert stack.until(new_serial)  # master reads the signal a moment later
        assert send(client, sender, "old-session@example.net") == 250
    assert stack.delivered("old-session@example.net")


def send(client: smtplib.SMTP, sender: Sender, to: str) -> int:
    client.mail(sender.address)
    client.rcpt(to)
    return client.data(f"From: {sender.address}\r\nSubject: hello\r\n\r\nHello\r\n")[0]


@pytest.mark.row("S0-6", "S0-9")
def test_an_opened_25_offers_auth_in_clear_text(other: RunningStack) -> None:
    for tls in (False, True):
        with connect(other, "smtp", tls=tls) as client:
            assert mechanisms(client) == BOTH
            assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 535, "it is asked of policyd"
            client.mail("a@example.net")
            assert client.rcpt("b@example.net")[0] == 554, "and still is no open relay"


def test_clear_text_is_for_keys_that_are_allowed_it(other: RunningStack) -> None:
    sender = other.sender("clear-text")
    here = Options(source_networks=("127.0.0.0/8",))
    for options in (Options(), here, replace(here, allow_plaintext=True)):
        with other.database.transaction() as session:
            account = accounts.get(session, sender.account)
            credentials.change(session, account, sender.username, options)
        with connect(other, "smtp", tls=False) as client:
            if not options.allow_plaintext:
                with pytest.raises(smtplib.SMTPAuthenticationError, match="encryption required"):
                    client.login(sender.username, sender.secret)
                continue
            client.login(sender.username, sender.secret)
            assert send(client, sender, "clear-text@example.net") == 250
    assert other.delivered("clear-text@example.net")


@pytest.mark.row("S2-2")
def test_a_strict_listener_offers_plain_only(other: RunningStack) -> None:
    with connect(other, "submission", tls=False) as client:
        assert mechanisms(client) == []
        client.starttls(context=trusting(other))
        client.ehlo()
        assert mechanisms(client) == ["PLAIN"]
        said = client.docmd("AUTH", "LOGIN")  # Postfix passes it on: docs/decisions/0009
        assert said == (
            535,
            b"5.7.8 Error: authentication failed: this port takes AUTH PLAIN only",
        )
    with connect(other, "submissions", tls=True) as client:
        assert mechanisms(client) == BOTH, "the others keep theirs"


def test_a_listener_that_is_off_refuses_connections(other: RunningStack) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", other.ports.alternate), PATIENCE)


@pytest.mark.parametrize("listener", SERVICES)
def test_the_banner_names_the_ports_that_take_submission(
    stack: RunningStack, other: RunningStack, listener: ListenerName
) -> None:
    for running, silent in ((stack, "smtp"), (other, "alternate")):
        shown = banner.text(running.facts, running.settings.listeners, "")
        port = running.facts["smtp"]["ports"][listener]
        assert bool(re.search(rf"^  Ports .*\b{port} ", shown, re.M)) == (listener != silent)
