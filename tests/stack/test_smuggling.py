"""One message in, one message out: no content is ever taken for the commands of another message.

In: corpora/end_of_data.txt, what other servers take for the end of a message, then a second
message's commands; once in one segment and once octet by octet.  Out: corpora/outgoing_bodies.txt,
looked at as the next server saw it on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import expect
import pytest
from corpora import corpus
from dialogue import END, Dialogue, logged_in, stuffed
from sqlalchemy import select

from franking.mail.models import Event, Recipient
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

SMUGGLED = "smuggled-in@example.net"
STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")
PER_SESSION = 8  # smtpd slows down after 10 errors


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("smuggler")


def second_message(sender: Sender) -> bytes:
    """It would be accepted if anybody took it for one."""
    return (
        f"MAIL FROM:<{sender.address}>\r\nRCPT TO:<{SMUGGLED}>\r\nDATA\r\n"
        f"From: {sender.address}\r\nSubject: smuggled\r\n\r\nHello\r\n"
    ).encode()


def first_message(sender: Sender) -> bytes:
    return f"From: {sender.address}\r\nSubject: carrier\r\n\r\nHello".encode()


def endings() -> list[tuple[str, bytes]]:
    return [(name, corpus.octets(text)) for _, name, text in corpus.rows("end_of_data")]


def in_one(session: Dialogue, sender: Sender, ending: bytes) -> None:
    session.send(first_message(sender) + ending + second_message(sender))


def torn(session: Dialogue, sender: Sender, ending: bytes) -> None:
    """Each octet around the end in a TLS record and a TCP segment of its own."""
    session.send(first_message(sender) + ending[:-20])
    for octet in ending[-20:]:
        session.send(bytes([octet]))
    session.send(second_message(sender))


Way = Callable[[Dialogue, Sender, bytes], None]


@pytest.mark.parametrize("way", [in_one, torn], ids=lambda way: way.__name__)
def test_nothing_is_smuggled_in(stack: RunningStack, sender: Sender, way: Way) -> None:
    assert len(endings()) >= 60
    before, said = len(expect.reservations(stack, sender)), []
    for some in parts(endings(), PER_SESSION):
        with logged_in(stack, sender) as session:
            for name, ending in some:
                assert session.begin(sender.address, "carrier@example.net").startswith("354")
                way(session, sender, ending)
                reply = session.end(b"")
                assert reply[:4] in ("250 ", "550 "), (name, reply)
                assert session.say("NOOP").startswith("250 2.0.0"), f"{name}: one reply too many"
                said.append(reply)
            assert session.say("QUIT").startswith("221 ")
            assert session.peer.recv(1) == b""
    accepted = sum(reply.startswith("250 ") for reply in said)
    assert 0 < accepted < len(said)
    assert len(expect.reservations(stack, sender)) - before == accepted
    assert_nothing_smuggled(stack, sender, SMUGGLED)


def test_a_second_message_would_be_noticed(stack: RunningStack, sender: Sender) -> None:
    """Behind the real end its commands are obeyed, as far as DATA: its content must wait for 354
    (smtpd_forbid_unauth_pipelining), which is one more wall before a smuggler."""
    with logged_in(stack, sender) as session:
        assert session.begin(sender.address, "carrier@example.net").startswith("354")
        session.send(first_message(sender) + b"\r\n.\r\n" + second_message(sender) + END)
        codes = [reply[:3] for reply in session.rest()]
    assert codes == ["250", "250", "250", "554"]


def parts(whole: Sequence[tuple[str, bytes]], size: int) -> list[Sequence[tuple[str, bytes]]]:
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def assert_nothing_smuggled(stack: RunningStack, sender: Sender, recipient: str) -> None:
    """Not recorded, not sent; and all that was accepted has arrived, so nothing is on its way."""
    wanted = len(expect.reservations(stack, sender))
    stack.until(lambda: sum(d.author == sender.address for d in stack.deliveries()) >= wanted)
    with stack.database.session() as session:
        for column in (Recipient.address, Event.recipient):
            assert session.scalar(select(column).where(column == recipient)) is None
    mine = [d.recipients for d in stack.deliveries() if d.author == sender.address]
    assert len(mine) == wanted
    assert [r for recipients in mine for r in recipients if "smuggled" in r] == []


@pytest.mark.parametrize(
    "command",
    ["BDAT {0} LAST", "BDAT {0}", "bdat {0} last", "BDAT 0 LAST", "BDAT 0", "BDAT 7 LAST",
     "BDAT -1 LAST", "BDAT 99999999999999999999 LAST", "BDAT", "BDAT x"],
)  # fmt: skip
def test_bdat_is_refused_and_carries_nothing(
    stack: RunningStack, sender: Sender, command: str
) -> None:
    """A server that refuses BDAT but reads its octets as commands would be smuggled into."""
    content = first_message(sender) + b"\r\n"
    with logged_in(stack, sender) as session:
        session.say(f"MAIL FROM:<{sender.address}>")
        session.say("RCPT TO:<carrier@example.net>")
        session.send(command.format(len(content)).encode() + b"\r\n" + content)
        session.send(b"QUIT\r\n")
        replies = session.rest()
    assert [reply for reply in replies if reply[:1] not in ("5", "4") and reply[:3] != "221"] == []
    assert replies[0][:1] == "5"
    assert_nothing_smuggled(stack, sender, SMUGGLED)


def bodies() -> list[tuple[str, str, bytes]]:
    rows = [
        (kind, name, corpus.octets(text)) for kind, name, text in corpus.rows("outgoing_bodies")
    ]
    return rows + [("kept", f"dots at every edge, {n}", dots(n)) for n in (1, 5, 61)]


def dots(length: int) -> bytes:
    """Lines that begin with dots, so that one begins at each edge of any buffer up to 128 kB."""
    return b"".join(
        b"." * (i % 3 + 1) + b"x" * length + b"\r\n.\r\n" for i in range(140_000 // (length + 7))
    )


def test_nothing_is_smuggled_out(stack: RunningStack, sender: Sender) -> None:
    head = first_message(sender).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    sent: dict[str, tuple[str, bytes]] = {}
    with logged_in(stack, sender) as session:
        for number, (kind, name, body) in enumerate(bodies()):
            to = f"wire-{number}@example.net"
            assert session.begin(sender.address, to).startswith("354")
            reply = session.end(stuffed(head + body))
            assert reply.startswith("550 " if kind == "refused" else "250 "), (name, reply)
            if kind != "refused":
                sent[to] = (name, STRAY.sub(b" ", body) if kind == "mended" else body)
    for to, (name, body) in sent.items():
        delivery = stack.delivered(to)
        assert delivery.recipients == [to]
        mail = f"MAIL FROM:<{delivery.sender}>".encode()
        commands, text = on_the_wire(delivery.path.with_suffix(".eml.wire").read_bytes())
        assert [c for c in commands if c.startswith((b"MAIL", b"RCPT", b"DATA"))] == [
            next(c for c in commands if c.startswith(mail)),
            b"RCPT TO:<" + to.encode() + b">",
            b"DATA",
        ], name
        assert text == delivery.content, name
        assert text.partition(b"\r\n\r\n")[2] == body.removesuffix(b"\r\n") + b"\r\n", name
    assert_nothing_smuggled(stack, sender, "smuggled-out@example.net")


def on_the_wire(octets: bytes) -> tuple[list[bytes], bytes]:
    """The commands, and the one message behind them, its dots taken off."""
    head, _, data = octets.partition(b"DATA\r\n")
    assert STRAY.search(octets) is None
    assert data.endswith(b"\r\n.\r\n") and data.count(b"\r\n.\r\n") == 1
    lines = data.removesuffix(b".\r\n").split(b"\r\n")
    assert not data.startswith(b".\r\n")
    text = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    return [*head.split(b"\r\n")[:-1], b"DATA"], text
