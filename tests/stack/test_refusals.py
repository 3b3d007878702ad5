"""What is refused, with which words, and that the customer can see it."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import expect
import pytest
from sessions import log_in, offer, refused_login

from stack.running import RunningStack, Sender


@pytest.fixture
def sender(stack: RunningStack, request: pytest.FixtureRequest) -> Sender:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    return stack.sender(name[-60:].strip("-"))


@pytest.fixture
def logged_in(stack: RunningStack) -> Iterator[Callable[[Sender], smtplib.SMTP]]:
    """Opens sessions that are closed with the test."""
    with ExitStack() as sessions:

        def open_session(sender: Sender) -> smtplib.SMTP:
            return sessions.enter_context(log_in(stack, sender))

        yield open_session


LoggedIn = Callable[[Sender], smtplib.SMTP]


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
    said = offer(open_session, sender, f"From: {sender.address}")
    assert said.startswith("554 5.7.1") and "revoked" in said
    stack.until(lambda: {e.smtp_code for e in expect.refusals(stack, sender)} == {535, 554})


def test_empty_balance(stack: RunningStack, logged_in: LoggedIn) -> None:
    sender = stack.sender("empty-balance", balance=1500)  # one message and a half
    client = logged_in(sender)
    assert offer(client, sender, f"From: {sender.address}").startswith("250 ")
    said = offer(client, sender, f"From: {sender.address}")
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
        said = offer(client, sender, f"From: <me@{domain}>")
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
    said = offer(client, sender, headers.format(sender.address, sender.domain))
    assert said.startswith("550 5.6.0 "), said
    assert expect.refusal(stack, sender).smtp_code == 550
    said = offer(client, sender, f"From: {sender.address}")
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


def test_too_large(stack: RunningStack, sender: Sender, logged_in: LoggedIn) -> None:
    client = logged_in(sender)
    code, text = client.mail(sender.address, ["SIZE=40000000"])
    assert code == 552 and text.startswith(b"5.3.4")
