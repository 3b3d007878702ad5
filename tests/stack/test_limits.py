"""What happens to the message after the last that a limit allows, and to a node that takes none."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime

import expect
import pytest
from expect import LogIn, status
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.accounts.rules import Rules, parse_window, stored
from franking.db import utcnow
from franking.mail import holding
from franking.money import pricing
from franking.nodes import nodes
from franking.nodes.models import Node
from stack import demo
from stack.running import RunningStack, Sender


@pytest.fixture
def logged_in(stack: RunningStack) -> Iterator[LogIn]:
    with ExitStack() as sessions:
        yield lambda sender: sessions.enter_context(log_in(stack, sender))


def limited(*windows: str) -> Rules:
    return Rules(windows=tuple(map(parse_window, windows)))


def paid(stack: RunningStack, sender: Sender, count: int) -> None:
    """Wait until so many messages are paid; never more."""
    left = 1_000_000_000 - count * demo.UNIT_PRICE
    stack.until(lambda: expect.available(stack, sender) <= left)
    assert expect.available(stack, sender) == left


def change(stack: RunningStack, sender: Sender, rules: Rules) -> None:
    """The plan that `stack.sender(name, rules=…)` has made."""
    with stack.database.transaction() as session:
        pricing.plan_named(session, sender.account).rules = stored(rules)


def in_hold(stack: RunningStack, held: str) -> bool:
    return (stack.instance.spool / "hold" / held).exists()


def ended(stack: RunningStack, queue: str, how: str) -> None:
    stack.until(lambda: status(stack, queue) == how)


@pytest.mark.parametrize(
    ("name", "rules", "expected"),
    [
        ("defer", limited("3/day"), "450 4.7.1 Rate limit exceeded (3 messages per day)"),
        (
            "reject",
            limited("3/month by credential reject"),
            "550 5.7.1 Rate limit exceeded (3 messages per month for this API key)",
        ),
        (
            "address",
            limited("9/day", "3/day by address"),
            "450 4.7.1 Rate limit exceeded (3 messages per day for your address)",
        ),
        ("quota", Rules(daily_quota=3), "452 4.5.3 Daily quota exceeded (3 per day)"),
    ],
    ids=["defer", "reject", "address", "quota"],
)
def test_the_fourth_of_three(
    stack: RunningStack, logged_in: LogIn, name: str, rules: Rules, expected: str
) -> None:
    """policyd says it at RCPT, where Postfix puts its own words before ours."""
    code, text = expected[:9], expected[10:]
    sender = stack.sender(f"limit-{name}", rules=rules)
    client = logged_in(sender)
    for _ in range(3):
        queue_id(offer(client, sender))
    for number in (1, 2):
        said = offer(client, sender)
        assert said.startswith(f"{code} ") and text in said, said
        seconds = re.search(r"retry in (\d+) s", said)
        assert seconds and 0 < int(seconds[1]) <= 31 * 86_400
        assert text in str(expect.refusal(stack, sender, number).reply)


def test_refused_mail_is_not_counted(stack: RunningStack, logged_in: LogIn) -> None:
    sender = stack.sender("limit-uncounted", rules=limited("2/day"))
    client = logged_in(sender)
    for _ in range(3):
        assert offer(client, sender, "From: <me@elsewhere.test>").startswith("550 5.7.1 ")
    assert [offer(client, sender)[:3] for _ in range(4)] == ["250", "250", "450", "450"]
    change(stack, sender, limited("3/day"))
    assert [offer(client, sender)[:3] for _ in range(2)] == ["250", "450"]


def test_recipients(stack: RunningStack, logged_in: LogIn) -> None:
    sender = stack.sender("limit-recipients", rules=limited("5/day recipients"))
    client = logged_in(sender)

    def to(count: int) -> str:
        try:
            return offer(client, sender, to=[f"r{number}@example.net" for number in range(count)])
        except smtplib.SMTPDataError as refused:  # policyd, before the content
            client.rset()
            return f"{refused.smtp_code} {refused.smtp_error!r}"

    assert to(6).startswith("550"), "waiting does not help"
    assert to(3).startswith("250")
    assert to(3).startswith("450")
    assert to(2).startswith("250")
    assert to(1).startswith("450")


def test_two_sessions_and_room_for_one(stack: RunningStack, logged_in: LogIn) -> None:
    """policyd lets both pass; the transaction that accepts a message decides."""
    sender = stack.sender("limit-last", rules=limited("1/day"))
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
    assert said[0].startswith("250 ")
    assert said[1].startswith("450 4.7.1 Rate limit exceeded (1 messages per day), retry in ")


def test_held_until_there_is_room(stack: RunningStack, logged_in: LogIn) -> None:
    """Released by itself, in order, by a housekeeping that was killed, and charged once."""
    sender = stack.sender("hold-room", rules=limited("1/day hold"))
    client = logged_in(sender)
    to = [f"room{number}@example.net" for number in range(3)]
    sent = [queue_id(offer(client, sender, to=recipient)) for recipient in to]
    stack.delivered(to[0])
    assert [in_hold(stack, queue) for queue in sent] == [False, True, True]
    assert [status(stack, queue) for queue in sent[1:]] == ["held", "held"]
    assert expect.kinds(stack, sent[1]) == ["accepted", "held"]
    with stack.database.transaction() as session:
        holding.request_release(session, accounts.get(session, sender.account), sent[2], utcnow())
    stack.kill(*stack.pids("housekeeping"))
    change(stack, sender, limited("2/day hold"))
    stack.delivered(to[2])  # who asked comes first, and not beyond the limit
    assert status(stack, sent[1]) == "held" and in_hold(stack, sent[1])
    assert stack.cli("message", "release", sent[1], "--force")["forced"]
    stack.delivered(to[1])
    for queue in sent[1:]:
        ended(stack, queue, "delivered")
        assert expect.kinds(stack, queue) == ["accepted", "held", "released", "delivered"]
    paid(stack, sender, 3)
    assert set(expect.reservations(stack, sender).values()) == {"captured"}
    expect.assert_books_are_right(stack)


def test_held_until_the_window_opens(stack: RunningStack, logged_in: LogIn) -> None:
    sender = stack.sender("hold-second", rules=limited("1/second hold"))
    client = logged_in(sender)
    sent: dict[str, str] = {}
    while "held" not in sent.values() and len(sent) < 50:
        queue = queue_id(offer(client, sender, to=f"second{len(sent)}@example.net"))
        sent[queue] = status(stack, queue)
    assert "held" in sent.values()
    for number in range(len(sent)):
        stack.delivered(f"second{number}@example.net")
    paid(stack, sender, len(sent))


def test_deleted_in_the_hold_queue(stack: RunningStack, logged_in: LogIn) -> None:
    """Postfix had taken it, so it is paid; it is over, and nothing waits for it."""
    sender = stack.sender("hold-deleted", rules=limited("1/day hold"))
    client = logged_in(sender)
    queue_id(offer(client, sender))
    held = queue_id(offer(client, sender))
    configuration = str(stack.instance.postfix)
    subprocess.run(
        ["/usr/sbin/postsuper", "-c", configuration, "-d", held], check=True, capture_output=True
    )
    ended(stack, held, "expired")
    assert expect.kinds(stack, held) == ["accepted", "held", "expired"]
    assert expect.reservations(stack, sender)[held] == "captured"
    change(stack, sender, limited("2/day hold"))
    stack.delivered(_sent_to(client, sender))


def _sent_to(client: smtplib.SMTP, sender: Sender) -> str:
    to = "after-deletion@example.net"
    queue_id(offer(client, sender, to=to))
    return to


@pytest.fixture
def resumed(stack: RunningStack) -> Iterator[None]:
    yield
    with stack.database.transaction() as session:
        nodes.resume(session, "local", utcnow())


@pytest.mark.usefixtures("resumed")
def test_a_draining_node_takes_nothing_and_finishes_its_queue(stack: RunningStack) -> None:
    sender = stack.sender("drained", rules=limited("1/day hold"))

    def said(to: str) -> str:
        with log_in(stack, sender) as client:
            return offer(client, sender, to=to)

    def refused() -> str | None:
        reply = said("x@example.net")
        return reply if reply.startswith("421 ") else None

    queue_id(said("before@example.net"))
    held = queue_id(said("queued@example.net"))
    with stack.database.transaction() as session:
        nodes.drain(session, "local", "new disk", utcnow())
    reply = stack.until(refused)
    assert reply.startswith("421 4.3.2 ") and "Relaying temporarily denied" in reply
    with stack.database.transaction() as session:
        holding.let_go(session, held, utcnow())
    stack.delivered("queued@example.net")
    with stack.database.transaction() as session:
        nodes.resume(session, "local", utcnow())
    stack.until(lambda: said("after@example.net").startswith("250 "))


def test_the_node_reports_about_itself(stack: RunningStack) -> None:

    def reported() -> datetime | None:
        with stack.database.session() as session:
            return session.get_one(Node, "local").reported_at

    before = stack.until(reported)
    stack.until(lambda: reported() != before)
    (node,) = stack.cli("node", "list")["nodes"]
    assert (node["name"], node["state"], node["overload"]) == ("local", "active", None)
