"""What an application written for the relays S0 and S1 relies on, row by row."""

from __future__ import annotations

import base64
import smtplib
import ssl
from contextlib import ExitStack

import expect
import pytest
from sessions import connect, log_in, offer, queue_id, refused_login

from franking.accounts.rules import Rules
from franking.db import utcnow
from franking.nodes import nodes
from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

SUBMISSION = ("submission", "submissions", "alternate")


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("rows-s0")


@pytest.mark.row("S0-5", "S1-1")
def test_s0_1_one_host_name_for_all_ports(stack: RunningStack, sender: Sender) -> None:
    for port in SUBMISSION:
        with log_in(stack, sender, port) as client:
            assert isinstance(client.sock, ssl.SSLSocket)
            assert offer(client, sender).startswith("250 ")


def test_s0_2_the_user_name_is_generated(stack: RunningStack, sender: Sender) -> None:
    prefix, _, rest = sender.username.partition("_")
    assert prefix == stack.settings.brand.prefix and len(rest) == 10
    said = refused_login(stack, "owner@example.com", sender.secret)
    assert said.startswith("535 5.7.8 Error: authentication failed: ") and "e-mail" in said


def test_s0_3_the_password_is_a_generated_key(stack: RunningStack, sender: Sender) -> None:
    assert sender.secret.startswith(f"{stack.settings.brand.prefix}_live_")
    assert len(sender.secret) > 50
    assert refused_login(stack, sender.username, sender.secret[:-1]).startswith("535 ")


@pytest.mark.parametrize("port", ["alternate", "submission"])
@pytest.mark.row("S0-7", "S2-1", "S4-3")
def test_s0_6_starttls_comes_before_auth(stack: RunningStack, sender: Sender, port: str) -> None:
    with smtplib.SMTP("localhost", getattr(stack.ports, port), timeout=20) as client:
        client.ehlo()
        assert client.has_extn("starttls") and not client.has_extn("auth")
        code, text = client.docmd("MAIL", f"FROM:<{sender.address}>")
        assert (code, text.decode()) == (530, "5.7.0 Must issue a STARTTLS command first")
        client.starttls(context=ssl.create_default_context(cafile=stack.instance.ca_file))
        client.login(sender.username, sender.secret)
        assert offer(client, sender).startswith("250 ")


def test_s0_8_tls_from_the_first_byte(stack: RunningStack, sender: Sender) -> None:
    with connect(stack, "submissions") as client:
        assert not client.has_extn("starttls") and client.has_extn("auth")
        client.login(sender.username, sender.secret)
        assert offer(client, sender).startswith("250 ")


@pytest.mark.row("S1-4")
def test_s0_9_port_25_takes_no_submission_unless_opened(
    stack: RunningStack, sender: Sender
) -> None:
    """That it does where the operator opens it: tests/stack/test_listeners.py."""
    with connect(stack, "smtp") as client:
        assert not client.has_extn("auth")
        said = offer(client, sender)
        assert said.startswith("554 5.7.1 ") and "Relay access denied" in said


def test_s0_10_auth_is_required_everywhere(stack: RunningStack, sender: Sender) -> None:
    for port in SUBMISSION:
        with connect(stack, port) as client:
            assert set(client.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN"}
            said = offer(client, sender)
            assert said.startswith("530 5.7.1 ") and "Authentication required" in said


def test_s0_11_each_message_costs_its_price(stack: RunningStack) -> None:
    sender = stack.sender("rows-prepaid", balance=2 * UNIT_PRICE)
    with log_in(stack, sender) as client:
        for number in range(2):
            queue_id(offer(client, sender, to=f"prepaid-{number}@example.net"))
        assert "Insufficient balance" in offer(client, sender)
    for number in range(2):
        stack.delivered(f"prepaid-{number}@example.net")
    stack.until(lambda: expect.available(stack, sender) == 0)


def test_s0_13_mail_clients_are_welcome_by_default(stack: RunningStack, sender: Sender) -> None:
    with log_in(stack, sender) as client:
        said = offer(client, sender, "From: <{0}>\r\nUser-Agent: Mozilla Thunderbird")
        assert said.startswith("250 ")


@pytest.mark.row("S3-8", "S3-4")
def test_s0_15_the_three_errors(stack: RunningStack) -> None:
    sender = stack.sender("rows-errors", balance=0)
    said = refused_login(stack, sender.username, "wrong")
    assert said == "535 5.7.8 Error: authentication failed: invalid SMTP username or API key"
    with log_in(stack, sender) as client:
        said = offer(client, sender)
        assert said.startswith("554 5.7.1 ") and "Insufficient balance" in said
    with stack.database.transaction() as session:
        nodes.introduce(session, stack.settings.node, utcnow())
        nodes.drain(session, stack.settings.node, "maintenance", utcnow())
    try:
        said = stack.until(lambda: _said(stack, sender, "421 "), patience=5)
        assert said.startswith("421 4.3.2 ") and "Relaying temporarily denied" in said
    finally:
        with stack.database.transaction() as session:
            nodes.resume(session, stack.settings.node, utcnow())
    stack.until(lambda: _said(stack, sender, "554 "), patience=5)
    codes = stack.until(lambda: _three(stack, sender))
    assert codes >= {535, 554, 421}


def _said(stack: RunningStack, sender: Sender, code: str) -> str | None:
    """In a session of its own: a 421 ends one."""
    with log_in(stack, sender) as client:
        said = offer(client, sender)
    return said if said.startswith(code) else None


def _three(stack: RunningStack, sender: Sender) -> set[int | None] | None:
    codes = {event.smtp_code for event in expect.refusals(stack, sender)}
    return codes if len(codes) >= 3 else None


def test_s1_2_the_key_in_both_fields(stack: RunningStack, sender: Sender) -> None:
    with connect(stack) as client:
        client.login(sender.secret, sender.secret)
        assert offer(client, sender).startswith("250 ")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_s1_3_plain_and_login(stack: RunningStack, sender: Sender, mechanism: str) -> None:
    with connect(stack) as client:
        client.user, client.password = sender.username, sender.secret
        method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
        assert client.auth(mechanism, method)[0] == 235


def test_s1_6_certificates_are_checked_by_default(stack: RunningStack) -> None:
    """A client that does not know the CA refuses us; all others here verify the name, too."""
    stranger = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL("localhost", stack.ports.submissions, timeout=20, context=stranger)
    with connect(stack, "submissions") as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.context.verify_mode is ssl.CERT_REQUIRED


def test_s1_7_five_connections_and_a_hundred_messages(stack: RunningStack) -> None:
    sender = stack.sender("rows-pool", rules=Rules())
    with ExitStack() as open_now:
        clients = [open_now.enter_context(log_in(stack, sender)) for _ in range(5)]
        for client in clients:
            assert offer(client, sender).startswith("250 ")
        for _ in range(99):
            assert offer(clients[0], sender).startswith("250 ")
        said = offer(clients[0], sender)
        assert said.startswith("421 4.7.0 ") and "Too many messages on this connection" in said
        assert offer(clients[1], sender).startswith("250 "), "the others go on"


@pytest.mark.row("S3-6")
def test_s3_5_a_handshake_by_hand(stack: RunningStack, sender: Sender) -> None:
    """The first of S3-6's; what rotation does is in test_credentials.py."""
    with connect(stack) as client:
        assert client.docmd("AUTH", "LOGIN") == (334, base64.b64encode(b"Username:"))
        name, key = (base64.b64encode(text.encode()).decode() for text in _pair(sender))
        assert client.docmd(name) == (334, base64.b64encode(b"Password:"))
        assert client.docmd(key)[0] == 235
        assert client.docmd("MAIL", f"FROM:<{sender.address}>")[0] == 250
        assert client.docmd("RCPT", "TO:<hand@example.net>")[0] == 250
        assert client.docmd("DATA")[0] == 354
        client.send(f"From: <{sender.address}>\r\n\r\nHello\r\n.\r\n")
        assert client.getreply()[0] == 250
    stack.delivered("hand@example.net")


def _pair(sender: Sender) -> tuple[str, str]:
    return sender.username, sender.secret
