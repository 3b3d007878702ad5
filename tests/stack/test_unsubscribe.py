"""Unsubscribing all the way: the links of a message that arrived, and what they do to the next."""

from __future__ import annotations

import email.policy
import re
import smtplib
import urllib.request
from email.message import EmailMessage
from email.parser import BytesParser

import expect
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.mail import streams
from franking.mail.unsubscribing import Tokens
from stack.running import RunningStack, Sender

REFUSED = "550 5.7.1 "


def bulk_sender(stack: RunningStack, name: str) -> Sender:
    sender = stack.sender(name)
    with stack.database.transaction() as session:
        streams.mark(session, accounts.get(session, sender.account), "default", bulk=True)
    return sender


def parsed(content: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=email.policy.SMTP).parsebytes(content)  # type: ignore[return-value]


def links(message: EmailMessage) -> dict[str, str]:
    """By scheme, as a mail program reads the field."""
    found = re.findall(r"<(\w+):([^>]+)>", "".join(message["List-Unsubscribe"].split()))
    return {scheme: f"{scheme}:{rest}" for scheme, rest in found}


def post(url: str) -> int:
    """As a mail program does (RFC 8058 §3.2): without cookies, and without following redirects."""
    request = urllib.request.Request(url, data=b"List-Unsubscribe=One-Click", method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.url == url
        return int(answer.status)


def test_a_link_of_a_message_that_arrived(stack: RunningStack) -> None:
    sender = bulk_sender(stack, "unsubscribe-link")
    address = "reader@unsubscribe-link.example"
    with log_in(stack, sender) as client:
        sent = queue_id(offer(client, sender, to=address))
        both = ["one@unsubscribe-link.example", "two@unsubscribe-link.example"]
        offer(client, sender, to=both)
    content = stack.delivered(address).content
    expect.assert_signed(stack, sender, [content])
    message = parsed(content)
    assert "list-unsubscribe" in message["DKIM-Signature"].lower()
    url = links(message)["http"]  # a panel without TLS, so without the field for one click
    assert url == f"{stack.instance.panel_url}/u/{Tokens.of(stack.settings).token(sent)}"
    assert "List-Unsubscribe-Post" not in message
    assert "List-Unsubscribe" not in parsed(stack.delivered(both[0]).content)

    with urllib.request.urlopen(url, timeout=20) as page:  # what checks links does that
        assert b"Unsubscribe?" in page.read()
    with log_in(stack, sender) as client:
        assert offer(client, sender, to=address).startswith("250 ")
    assert [post(url), post(url)] == [200, 200]
    with log_in(stack, sender) as client:
        assert offer(client, sender, to=address).startswith(REFUSED)
    assert expect.kinds(stack, sent).count("unsubscribed") == 1


def test_the_mailbox(stack: RunningStack) -> None:
    sender = bulk_sender(stack, "unsubscribe-mail")
    address = "reader@unsubscribe-mail.example"
    with log_in(stack, sender) as client:
        sent = queue_id(offer(client, sender, to=address))
    mailbox = links(parsed(stack.delivered(address).content))["mailto"].removeprefix("mailto:")
    with smtplib.SMTP("localhost", stack.ports.smtp, timeout=20) as stranger:
        stranger.sendmail(address, [mailbox.upper()], "Subject: unsubscribe\r\n\r\n")
    stack.until(lambda: "unsubscribed" in expect.kinds(stack, sent))
    with log_in(stack, sender) as client:
        assert offer(client, sender, to=address).startswith(REFUSED)
