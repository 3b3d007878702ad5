"""What is refused, with which words, and that the customer can see it."""

from __future__ import annotations

import smtplib
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import expect
import pytest

from stack.running import RunningStack, Sender


@pytest.fixture
def sender(stack: RunningStack, request: pytest.FixtureRequest) -> Sender:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    return stack.sender(name[-60:].strip("-"))


def connect(stack: RunningStack, port: str = "submission") -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", getattr(stack.ports, port), timeout=20)
    client.starttls(context=ssl.create_default_context(cafile=stack.instance.ca_file))
    client.ehlo()
    return client


@pytest.fixture
def logged_in(stack: RunningStack) -> Iterator[Callable[[Sender], smtplib.SMTP]]:
    """Opens sessions that are closed with the test."""
    with ExitStack() as sessions:

        def open_session(sender: Sender) -> smtplib.SMTP:
            client = sessions.enter_context(connect(stack))
            client.login(sender.username, sender.secret)
            return client

        yield open_session


LoggedIn = Callable[[Sender], smtplib.SMTP]


def refused_login(stack: RunningStack, username: str, secret: str) -> str:
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught, connect(stack) as client:
        client.login(username, secret)
    error = caught.value.smtp_error
    return f"{caught.value.smtp_code} {error.decode() if isinstance(error, bytes) else error}"


def send(client: smtplib.SMTP, sender: Sender, headers: str, to: str = "a@example.net") -> str:
    """The reply to a message with these header fields."""
    for reply in (client.mail(sender.address), client.rcpt(to)):
        if reply[0] != 250:
            return f"{reply[0]} {reply[1].decode()}"
    code, text = client.data(f"{headers}\r\n\r\nHello\r\n")
    return f"{code} {text.decode()}"


@pytest.mark.parametrize("port", ["smtp", "submission", "alternate"])
def test_auth_is_not_offered_in_the_clear(stack: RunningStack, port: str) -> None:
    with smtplib.SMTP("localhost", getattr(stack.ports, port), timeout=20) as client:
        client.ehlo()
        assert client.has_extn("starttls") and not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] in (503, 530)
        client.starttls(context=ssl.create_default_context(cafile=stack.instance.ca_file))
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert not client.has_extn("chunking")


def test_tls_1_1_is_refused(stack: RunningStack) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with smtplib.SMTP("localhost", stack.ports.submission, timeout=20) as client:
        client.ehlo()
        with pytest.raises((ssl.SSLError, OSError)):
            client.starttls(context=context)


def test_wrong_secret(stack: RunningStack, sender: Sender) -> None:
    said = refused_login(stack, sender.username, "wrong")
    assert said == ("535 5.7.8 Error: authentication failed: invalid SMTP username or API key")
    event = expect.refusal(stack, sender)
    assert (event.smtp_code, event.detail["stage"]) == (535, "AUTH")
    assert sender.secret not in str(vars(event))


def test_unknown_user_is_told_the_same(stack: RunningStack) -> None:
    said = refused_login(stack, "frank_nobody2345", "wrong")
    assert said.endswith("invalid SMTP username or API key")


def test_revoked_within_a_second(stack: RunningStack, sender: Sender, logged_in: LoggedIn) -> None:
    open_session = logged_in(sender)
    stack.cli("credential", "revoke", sender.username, "--account", sender.account)
    revoked_at = time.monotonic()
    said = refused_login(stack, sender.username, sender.secret)
    assert time.monotonic() - revoked_at < 1
    assert said.startswith("535 5.7.8") and "revoked" in said
    said = send(open_session, sender, f"From: {sender.address}")
    assert said.startswith("554 5.7.1") and "revoked" in said
    stack.until(lambda: {e.smtp_code for e in expect.refusals(stack, sender)} == {535, 554})


def test_empty_balance(stack: RunningStack, logged_in: LoggedIn) -> None:
    sender = stack.sender("empty-balance", balance=1500)  # one message and a half
    client = logged_in(sender)
    assert send(client, sender, f"From: {sender.address}").startswith("250 ")
    said = send(client, sender, f"From: {sender.address}")
    assert said.startswith("554 5.7.1") and "Insufficient balance" in said
    assert "/e/insufficient_balance" in said
    assert "Insufficient balance" in str(expect.refusal(stack, sender).reply)


def test_balance_used_up_while_the_message_is_sent(
    stack: RunningStack, logged_in: LoggedIn
) -> None:
    """Two sessions, money for one: policyd lets both pass, the transaction decides."""
    sender = stack.sender("last-coin", balance=1000)
    clients = [logged_in(sender) for _ in range(2)]
    for client in clients:
        client.mail(sender.address)
        client.rcpt("a@example.net")
        assert client.docmd("DATA")[0] == 354
    said = []
    for client in clients:
        client.send(f"From: {sender.address}\r\n\r\nHello\r\n.\r\n")
        code, text = client.getreply()
        said.append(f"{code} {text.decode()}")
    assert said[0].startswith("250 2.0.0 Ok: queued as ")
    assert said[1].startswith("554 5.7.1 Insufficient balance http")


def test_from_domain_must_be_ours(stack: RunningStack, sender: Sender, logged_in: LoggedIn) -> None:
    other = stack.sender("somebody-else")
    client = logged_in(sender)
    for number, domain in enumerate(("unverified.test", other.domain), start=1):
        said = send(client, sender, f"From: <me@{domain}>")
        assert said.startswith(
            f"550 5.7.1 From domain {domain} is not verified for this account http"
        )
        event = expect.refusal(stack, sender, number)
        assert (event.smtp_code, event.detail["reply_key"]) == (550, "from_not_verified")


@pytest.mark.parametrize(
    "headers",
    [
        "From: <{0}>\r\nFrom: <{0}>",
        "From: Us: {0}, {0};",
        "From: <{0}>, <{0}>",
        'From: <"quoted"@{1}>',
        "Subject: nobody",
        "From : <{0}>",
        "From: <{0}> (comment)",
        "From: <{0}>\r\nSubject: a\r\nSubject: b",
    ],
    ids=["two", "group", "list", "quoted", "none", "space", "comment", "subjects"],
)
def test_malformed_headers(
    stack: RunningStack, sender: Sender, headers: str, logged_in: LoggedIn
) -> None:
    client = logged_in(sender)
    said = send(client, sender, headers.format(sender.address, sender.domain))
    assert said.startswith("550 5.6.0 "), said
    assert expect.refusal(stack, sender).smtp_code == 550
    said = send(client, sender, f"From: {sender.address}")
    assert said.startswith("250 "), "the session goes on"


@pytest.mark.parametrize(
    "address",
    ['"x>, relay=none, delay=0, dsn=2.0.0, status=sent (250 ok) to=<"@example.net',
     '"a b"@example.net', "a@[127.0.0.1]", "a..b@example.net"],
    ids=["log-injection", "quoted", "literal", "dots"],
)  # fmt: skip
def test_recipients_must_be_plain(
    stack: RunningStack, sender: Sender, address: str, logged_in: LoggedIn
) -> None:
    client = logged_in(sender)
    client.mail(sender.address)
    code, text = client.docmd("RCPT", f"TO:<{address}>")
    assert code in (501, 553), (code, text)
    assert client.rcpt("good@example.net")[0] == 250, "other recipients pass"


@pytest.mark.parametrize("port", ["smtp", "submission", "alternate"])
@pytest.mark.parametrize(
    "recipient",
    ["a@example.net", "a%example.net@localhost", "a@example.net@localhost", "postmaster",
     "a!example.net", '"a@example.net"'],
)  # fmt: skip
def test_no_open_relay(stack: RunningStack, port: str, recipient: str) -> None:
    with connect(stack, port) as client:
        client.mail("")
        code, text = client.rcpt(recipient)
        if code == 250:  # smtpd takes a bare <postmaster> from anybody (RFC 5321 §4.5.1)
            assert recipient == "postmaster"
            code, text = client.docmd("DATA")
        assert 500 <= code < 600, (code, text)


def test_too_large(stack: RunningStack, sender: Sender, logged_in: LoggedIn) -> None:
    client = logged_in(sender)
    code, text = client.mail(sender.address, ["SIZE=40000000"])
    assert code == 552 and text.startswith(b"5.3.4")
