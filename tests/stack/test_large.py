"""Large things stay within their limits, and memory stays flat."""

from __future__ import annotations

import smtplib
import ssl

import expect
import psutil
import pytest

from stack.running import RunningStack, Sender

pytestmark = [pytest.mark.alone, pytest.mark.one_engine]

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("large")


def send(stack: RunningStack, sender: Sender, content: bytes, to: str) -> str:
    with smtplib.SMTP("localhost", stack.ports.submission, timeout=60) as client:
        client.starttls(context=ssl.create_default_context(cafile=stack.instance.ca_file))
        client.login(sender.username, sender.secret)
        client.mail(sender.address)
        client.rcpt(to)
        code, text = client.data(content)
        return f"{code} {text.decode()}"


def memory(stack: RunningStack) -> int:
    """Bytes that our own processes hold."""
    pids = stack.pids("policyd") + stack.children("milterd") + stack.pids("worker")
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def test_20_megabytes(stack: RunningStack, sender: Sender) -> None:
    line = b"0123456789 abcdef  " * 4 + b"\r\n"
    body = line * (20 * MEGABYTE // len(line))
    content = f"From: {sender.address}\r\nSubject: big\r\n\r\n".encode() + body
    send(stack, sender, content, "warm-up@example.net")
    before = memory(stack)
    for number in range(3):
        said = send(stack, sender, content, f"big-{number}@example.net")
        assert said.startswith("250 2.0.0 Ok: queued as "), said
    assert memory(stack) - before < 15 * MEGABYTE, "the body streams by"
    delivered = [stack.delivered(f"big-{n}@example.net", 60).content for n in range(3)]
    assert all(d.partition(b"\r\n\r\n")[2] == body for d in delivered)
    expect.assert_signed(stack, sender, delivered[:1])


def test_5000_header_lines(stack: RunningStack, sender: Sender) -> None:
    before = memory(stack)
    extra = "".join(f"X-Number-{n}: {n}\r\n" for n in range(5000))
    content = f"From: {sender.address}\r\n{extra}\r\nHello\r\n".encode()
    said = send(stack, sender, content, "headers@example.net")
    assert said.startswith("552 5.3.4 Message header exceeds 1000 fields"), said
    assert expect.refusal(stack, sender).smtp_code == 552
    assert memory(stack) - before < 15 * MEGABYTE


def test_5000_folded_lines_of_one_header(stack: RunningStack, sender: Sender) -> None:
    folded = "X-Long: a\r\n" + " folded\r\n" * 5000  # more octets are refused: test_long_fields.py
    content = f"From: {sender.address}\r\n{folded}\r\nHello\r\n".encode()
    said = send(stack, sender, content, "folded@example.net")
    assert said.startswith("250 "), said
    arrived = stack.delivered("folded@example.net").content
    assert arrived.count(b" folded\r\n") == 5000
    expect.assert_signed(stack, sender, [arrived])
