"""Nobody sends without a credential: corpora/open_relay.txt on every listener.

Not one DATA may be let through; what a listener answers to it is checked, and that no trace of
these messages is in the queue, in the database or at the sink.
"""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import expect
import pytest
from corpora import corpus
from dialogue import Dialogue, opened
from sqlalchemy import select

from franking.listeners import SERVICES
from franking.mail.models import Recipient
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

PER_SESSION = 2  # smtpd slows down at 10 errors
STARTTLS = ("smtp", "submission", "alternate")
ONCE = ("submission", True)
MARKS = ("relayme", "stranger")


class Case(NamedTuple):
    tls: bool
    name: str
    commands: list[bytes]


@pytest.fixture(scope="module")
def customer(stack: RunningStack) -> Sender:
    return stack.sender("relayed")


def cases(customer: Sender, port: str, *, tls: bool) -> Iterator[Case]:
    wanted = {"both", "tls" if tls else "clear", "once" if (port, tls) == ONCE else "both"}
    for when, name, text in corpus.rows("open_relay"):
        if when in wanted:
            commands = corpus.octets(text.replace("{user}", customer.username)).split(b"\r\n")
            yield Case(tls, name, commands)


def test_the_matrix_is_large(customer: Sender) -> None:
    assert len(list(cases(customer, "smtp", tls=True))) >= 80
    assert len(list(cases(customer, "smtp", tls=False))) >= 80


@pytest.mark.parametrize(
    ("port", "tls"),
    [*((port, True) for port in SERVICES), *((port, False) for port in STARTTLS)],
)
def test_nothing_is_relayed(stack: RunningStack, customer: Sender, port: str, tls: bool) -> None:
    waiting = list(cases(customer, port, tls=tls))
    replies: dict[str, str] = {}
    while waiting:
        with opened(stack, port, tls=tls) as session:
            for _ in range(min(PER_SESSION, len(waiting))):
                if not session.closed:
                    case = waiting.pop(0)
                    replies[case.name] = attempt(session, case)
    let_through = {n: said for n, said in replies.items() if said[:1] not in ("4", "5", "")}
    assert let_through == {}
    assert sum(said.startswith("5") for said in replies.values()) > len(replies) * 0.9
    assert_no_trace(stack, customer)


def attempt(session: Dialogue, case: Case) -> str:
    """The reply to DATA, or empty when the server has hung up before."""
    session.say("RSET")
    if not case.tls:
        session.say("EHLO client.example")
    for command in case.commands:
        session.say(command)
    said = session.say("DATA")
    if said.startswith("354"):
        said = "let through: " + session.end(b"From: <hello@relayed.test>\r\n\r\nHello\r\n")
    return said


def assert_no_trace(stack: RunningStack, customer: Sender) -> None:
    assert expect.reservations(stack, customer) == {}
    with stack.database.session() as session:
        query = select(Recipient.address).where(Recipient.address.contains("relayme"))
        assert list(session.scalars(query)) == []
    seen = [f"{d.sender} {d.recipients}" for d in stack.deliveries()]
    seen.append(queue(stack))
    assert [text for text in seen if any(mark in text for mark in MARKS)] == []


def queue(stack: RunningStack) -> str:
    command = ["/usr/sbin/postqueue", "-c", str(stack.instance.postfix), "-j"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("port", STARTTLS)
@pytest.mark.parametrize(
    "injected",
    [
        "RSET\r\n",
        "NOOP\r\n",
        "MAIL FROM:<stranger@relayed.test>\r\nRCPT TO:<relayme@example.net>\r\n",
        "EHLO x\r\nMAIL FROM:<stranger@relayed.test>\r\nRCPT TO:<relayme@example.net>\r\nDATA\r\n",
        "\r\n",
        "EHLO x",
    ],
    ids=["rset", "noop", "transaction", "data", "empty", "half"],
)
def test_what_stands_behind_starttls_is_not_obeyed(
    stack: RunningStack, port: str, injected: str
) -> None:
    """CVE-2011-0411: octets sent in the clear must not be read as if they came inside TLS."""
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    with opened(stack, port, tls=False) as clear:
        clear.say("EHLO client.example")
        said = clear.say(f"STARTTLS\r\n{injected}".removesuffix("\r\n"))
        if not said.startswith("220"):
            assert re.match(r"5\d\d ", said)
            return
        with context.wrap_socket(clear.peer, server_hostname="localhost") as secure:
            session = Dialogue(secure)
            assert session.say("EHLO client.example").startswith("250-")
            assert session.say("NOOP").startswith("250 2.0.0")
            assert session.say("RCPT TO:<relayme@example.net>")[:3] in ("503", "530")
