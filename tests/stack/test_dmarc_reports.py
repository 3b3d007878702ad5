"""DMARC reports come in on port 25, to addresses that customers' records have and to no others.

Who is not logged in can write to nobody else: the corpus of `test_open_relay.py` holds with this
open, and here is what it cannot know, mail that mixes a mailbox of ours with somebody else's.
"""

from __future__ import annotations

import gzip
import os
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import expect
import pytest
import sessions
from sqlalchemy import func, select

from franking.domains.dmarc.models import DmarcReport, DmarcRow
from franking.domains.models import Domain
from franking.mail.models import Message, Recipient
from stack.instance import REPORTS_DOMAIN
from stack.running import RunningStack, Sender
from tests.reports import Sent, mailed, xml

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
FROM = "noreply-dmarc@receiver.example"


@pytest.fixture(scope="module")
def customer(stack: RunningStack) -> Sender:
    return stack.sender("reported")


@pytest.fixture(scope="module")
def address(stack: RunningStack, customer: Sender) -> str:
    with stack.database.session() as session:
        query = select(Domain.dmarc_token).where(Domain.name == customer.domain)
        return f"{session.scalar(query)}@{REPORTS_DOMAIN}"


def report(customer: Sender, report_id: str) -> bytes:
    content = xml(
        [Sent(7, "192.0.2.1")], domain=customer.domain, report_id=report_id, begin=YESTERDAY
    )
    return wire(mailed(gzip.compress(content)))


def wire(message: bytes) -> bytes:
    return message.replace(b"\n", b"\r\n")


@contextmanager
def other_server(stack: RunningStack) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", stack.ports.smtp, timeout=20) as client:
        client.ehlo()
        yield client


def stored(stack: RunningStack, report_id: str) -> int:
    """Messages that this report has told of."""
    with stack.database.session() as session:
        query = select(func.sum(DmarcRow.messages)).join(
            DmarcReport, DmarcReport.id == DmarcRow.report_id
        )
        return session.scalar(query.where(DmarcReport.report_id == report_id)) or 0


def waiting(stack: RunningStack) -> list[Path]:
    return list((stack.instance.loaded.inbound.maildir / "new").glob("*"))


def said(answer: tuple[int, bytes]) -> str:
    return f"{answer[0]} {answer[1].decode()}"


def test_a_report_is_mailed_and_stored(stack: RunningStack, customer: Sender, address: str) -> None:
    with other_server(stack) as client:
        client.sendmail(FROM, [address.upper()], report(customer, "mailed-1"))
        client.sendmail("", [address], report(customer, "mailed-2"))  # a null sender, too
    assert stack.until(lambda: stored(stack, "mailed-1")) == 7
    assert stack.until(lambda: stored(stack, "mailed-2")) == 7
    stack.until(lambda: not waiting(stack))
    with stack.database.session() as session:
        of_ours = Recipient.address.contains(REPORTS_DOMAIN)
        assert session.scalar(select(func.count()).select_from(Recipient).where(of_ours)) == 0
        paid = select(func.count()).select_from(Message)
        assert session.scalar(paid.where(Message.account_id == customer.account_id)) == 0
    assert "accepted_unpaid" not in stack.log("worker")


def test_what_came_is_shown(stack: RunningStack, customer: Sender, address: str) -> None:
    with other_server(stack) as client:
        client.sendmail(FROM, [address], report(customer, "shown"))
    stack.until(lambda: stored(stack, "shown"))
    whose = ("--account", customer.account)
    rows = stack.cli("dmarc", "sources", customer.domain, *whose)
    assert [(row["source"], row["aligned"]) for row in rows] == [("unknown 192.0.2.0/24", 0)]
    stack.cli("dmarc", "verdict", customer.domain, "unknown 192.0.2.0/24", "mine", *whose)
    rows = stack.cli("dmarc", "sources", customer.domain, *whose)
    assert (rows[0]["verdict"], rows[0]["own"]) == ("mine", True)
    status = stack.cli("dmarc", "status", customer.domain, *whose)
    assert status["record"] == f"v=DMARC1; p=none; rua=mailto:{address}"


def test_it_is_kept_as_it_came(stack: RunningStack, customer: Sender, address: str) -> None:
    """Neither signed nor changed: what cannot be used is set aside, octet by octet."""
    content = b"From: <a@b.example>\r\nSubject: odd\r\n\r\nno report\r\n.dot\r\n"
    with other_server(stack) as client:
        client.sendmail(FROM, [address], content)
    aside = stack.instance.loaded.inbound.maildir / "unreadable"
    [kept] = stack.until(lambda: [f for f in aside.glob("*") if b"Subject: odd" in f.read_bytes()])
    assert kept.read_bytes().endswith(content.replace(b"\r\n", b"\n"))
    assert b"DKIM-Signature" not in kept.read_bytes()


def test_two_addresses_in_one_transaction(
    stack: RunningStack, customer: Sender, address: str
) -> None:
    with other_server(stack) as client:
        client.mail(FROM)
        assert client.rcpt(address)[0] == 250
        assert client.rcpt(address)[0] == 250
        assert client.data(report(customer, "twice"))[0] == 250
    assert stack.until(lambda: stored(stack, "twice")) == 7


@pytest.mark.parametrize(
    "wrong",
    [
        f"0000000000000000@{REPORTS_DOMAIN}",
        f"postmaster@{REPORTS_DOMAIN}",
        f"{{0}}+x@{REPORTS_DOMAIN}",
        f"{{0}}%example.net@{REPORTS_DOMAIN}",
    ],
)
def test_an_address_that_nobody_has(stack: RunningStack, address: str, wrong: str) -> None:
    with other_server(stack) as client:
        client.mail(FROM)
        answer = said(client.rcpt(wrong.format(address.partition("@")[0])))
    assert answer.startswith(("550 5.1.1 ", "554 5.7.1 ")), answer
    if "%" not in wrong:
        assert "No such mailbox here" in answer


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("relayme@example.net", "554 5.7.1"),
        (f"relayme@sub.{REPORTS_DOMAIN}", "554 5.7.1"),
        (f"@{REPORTS_DOMAIN}:relayme@example.net", "5"),
        ("relayme@[127.0.0.1]", "530 5.7.1"),
        ("relayme@localhost", "554 5.7.1"),
    ],
)
def test_nobody_else_can_be_written_to_beside_it(
    stack: RunningStack, customer: Sender, address: str, recipient: str, code: str
) -> None:
    with other_server(stack) as client:
        client.mail(FROM)
        assert client.rcpt(address)[0] == 250
        assert said(client.rcpt(recipient)).startswith(code)
        assert client.data(report(customer, f"beside {recipient}"))[0] == 250
    assert stack.until(lambda: stored(stack, f"beside {recipient}")) == 7
    assert not [d for d in stack.deliveries() if any("relayme" in to for to in d.recipients)]


def test_postmaster_whom_postfix_takes_unasked_is_refused(
    stack: RunningStack, customer: Sender, address: str
) -> None:
    with other_server(stack) as client:
        client.mail(FROM)
        client.rcpt(address)
        assert client.rcpt("postmaster")[0] == 250
        client.putcmd("DATA")
        assert said(client.getreply()).startswith("530 5.7.1 ")


@pytest.mark.parametrize("port", ["submission", "alternate"])
def test_other_listeners_take_none(stack: RunningStack, address: str, port: str) -> None:
    with sessions.connect(stack, port) as client:
        client.mail(FROM)
        assert said(client.rcpt(address)).startswith("530 5.7.1 ")


def test_a_customer_who_writes_there_pays(
    stack: RunningStack, customer: Sender, address: str
) -> None:
    before = expect.available(stack, customer)
    with sessions.log_in(stack, customer) as client:
        queue_id = sessions.queue_id(sessions.offer(client, customer, to=address))
    stack.until(lambda: expect.status(stack, queue_id) == "delivered")
    assert expect.available(stack, customer) < before


def test_a_sender_that_forges_the_log_is_refused(stack: RunningStack, address: str) -> None:
    with other_server(stack) as client:
        client.mail('"x>, relay=none, status=sent (250 ok) to=<"@example.net')
        assert said(client.rcpt(address)).startswith(("5", "4"))


def test_a_message_that_would_loop_is_refused_at_once(
    stack: RunningStack, customer: Sender, address: str
) -> None:
    """virtual(8) would return it to its sender, whoever that is."""
    with other_server(stack) as client:
        client.mail(FROM)
        client.rcpt(address)
        looping = f"Delivered-To: {address}\r\n".encode() + report(customer, "looping")
        assert said(client.data(looping)).startswith("554 5.4.6 This message has been here before")
    assert not stored(stack, "looping")


def test_a_bomb_is_dropped_and_the_worker_lives(
    stack: RunningStack, customer: Sender, address: str
) -> None:
    [pid] = stack.pids("inbound")
    bomb = gzip.compress(b"<feedback>" + b" " * 100_000_000, 1)
    junk = b"\x1f\x8b" + os.urandom(7_000_000)
    with other_server(stack) as client:
        client.sendmail(FROM, [address], wire(mailed(bomb)))  # 100 MB, unpacked
        client.sendmail(FROM, [address], wire(mailed(junk)))  # 10 MB
        client.sendmail(FROM, [address], report(customer, "after the bombs"))
    assert stack.until(lambda: stored(stack, "after the bombs")) == 7
    log = stack.log("inbound")
    assert "unpacked it is longer than" in log
    assert "its gzip is broken" in log
    assert stack.pids("inbound") == [pid]


def test_swaks_can_deliver_one(stack: RunningStack, customer: Sender, address: str) -> None:
    mail = report(customer, "swaks").decode().replace("\r\n", "\n")
    command = ["swaks", "--server", f"127.0.0.1:{stack.ports.smtp}", "--to", address]
    done = subprocess.run(
        [*command, "--from", FROM, "--tls-optional", "--data", "-"],
        input=mail, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.until(lambda: stored(stack, "swaks")) == 7


def test_a_removed_domain_gets_no_more(stack: RunningStack) -> None:
    leaving = stack.sender("leaving")
    with stack.database.session() as session:
        token = session.scalar(select(Domain.dmarc_token).where(Domain.name == leaving.domain))
    with other_server(stack) as client:
        client.mail(FROM)
        assert client.rcpt(f"{token}@{REPORTS_DOMAIN}")[0] == 250
        client.rset()
        stack.cli("domain", "remove", leaving.domain, "--account", leaving.account, "--yes")
        client.mail(FROM)
        assert said(client.rcpt(f"{token}@{REPORTS_DOMAIN}")).startswith("550 5.1.1 ")
