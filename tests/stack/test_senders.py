"""Who may be the sender: subdomains, rewritten envelope senders, internationalised addresses."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.parser import BytesHeaderParser

import expect
import pytest
import verifiers
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.accounts.rules import Rules
from franking.db import utcnow
from franking.domains import ownership
from franking.mail.returnpath import ReturnPaths
from stack.instance import BOUNCE_DOMAIN
from stack.running import RunningStack, Sender


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("senders")


@pytest.fixture(scope="module")
def client(stack: RunningStack, sender: Sender) -> Iterator[smtplib.SMTP]:
    with log_in(stack, sender) as session:
        yield session


def allow_subdomains(stack: RunningStack, sender: Sender, *, allow: bool) -> None:
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        ownership.allow_subdomains(session, account, sender.domain, allow=allow)


def test_subdomains_are_a_switch_of_their_parent(
    stack: RunningStack, sender: Sender, client: smtplib.SMTP
) -> None:
    author = f"From: <me@news.{sender.domain}>"
    assert offer(client, sender, author).startswith("550 5.7.1 From domain news.")
    allow_subdomains(stack, sender, allow=True)
    assert offer(client, sender, author, to="news@example.net").startswith("250 ")
    allow_subdomains(stack, sender, allow=False)
    assert offer(client, sender, author).startswith("550 5.7.1 From domain news.")
    expect.assert_signed(stack, sender, [stack.delivered("news@example.net").content])


@pytest.mark.parametrize("given", ["me@elsewhere.test", "bounces@{}"], ids=["foreign", "own"])
def test_an_envelope_sender_becomes_our_own(
    stack: RunningStack, sender: Sender, client: smtplib.SMTP, given: str
) -> None:
    to = f"rewritten-{len(given)}@example.net"
    mail_from = given.format(sender.domain)
    made = queue_id(offer(client, sender, to=to, mail_from=mail_from))
    delivery = stack.delivered(to)
    paths = ReturnPaths(stack.settings.master_key_bytes(), BOUNCE_DOMAIN)
    assert delivery.sender.endswith(f"@{BOUNCE_DOMAIN}")
    assert paths.check(delivery.sender, utcnow()).queue_id == made
    assert expect.stored(stack, made).envelope_sender == mail_from


def test_a_null_sender_stays(stack: RunningStack, sender: Sender, client: smtplib.SMTP) -> None:
    queue_id(offer(client, sender, to="kept@example.net", mail_from=""))
    assert stack.delivered("kept@example.net").sender.strip("<>") == ""


def test_what_a_report_can_be_resolved_by_is_signed(
    stack: RunningStack, sender: Sender, client: smtplib.SMTP
) -> None:
    made = queue_id(offer(client, sender, "X-Franking-Ref: x\r\nFrom: {0}", to="ref@example.net"))
    content = stack.delivered("ref@example.net").content
    header = BytesHeaderParser().parsebytes(content)
    paths = ReturnPaths(stack.settings.master_key_bytes(), BOUNCE_DOMAIN)
    [reference] = header.get_all("X-Franking-Ref", [])
    assert paths.check_reference(reference, utcnow()).queue_id == made
    assert header["Feedback-ID"].endswith(f":{sender.account_id}:frank")
    expect.assert_signed(stack, sender, [content])
    changed = content.replace(reference.encode(), b"y" + reference.encode()[1:])
    assert verifiers.dkimpy(changed, expect.dns_records(stack, sender)) == [False]


def test_a_plan_may_refuse_foreign_envelope_senders(stack: RunningStack) -> None:
    sender = stack.sender("senders-strict", rules=Rules(envelope_sender="refuse"))
    with log_in(stack, sender) as client:
        said = offer(client, sender, mail_from="me@elsewhere.test")
        assert said.startswith("553 5.7.1 Sender domain elsewhere.test is not verified")
        assert offer(client, sender).startswith("250 ")


def test_internationalised_addresses(
    stack: RunningStack, sender: Sender, client: smtplib.SMTP
) -> None:
    """RFC 6531: local parts in UTF-8, domains as U-labels, headers in UTF-8."""
    author, to = f"jörg@{sender.domain}", "用户@bücher.example"
    client.ehlo()
    assert client.has_extn("smtputf8")
    client.command_encoding = "utf-8"
    assert client.mail(author, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
    assert client.rcpt(to)[0] == 250
    message = f"From: Jörg Müller <{author}>\r\nTo: <{to}>\r\nSubject: Grüße\r\n\r\nHello\r\n"
    code, text = client.data(message.encode())
    assert code == 250, text
    content = stack.delivered(to).content
    assert author.encode() in content
    expect.assert_signed(stack, sender, [content])


def test_without_smtputf8_they_are_refused(sender: Sender, client: smtplib.SMTP) -> None:
    client.rset()
    client.mail(sender.address)
    client.rcpt("a@example.net")
    code, text = client.data(f"From: <jörg@{sender.domain}>\r\n\r\nHello\r\n".encode())
    assert code == 550 and b"8-bit" in text
