"""Real clients, every submission port, both mechanisms: the whole way of a message."""

from __future__ import annotations

import itertools
import json
import os
import re
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import expect
import pytest

from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

CLIENTS = Path(__file__).parent.parent / "clients"
BODY = "Hällo,\r\n\r\n. a dot\r\n..two\r\ntrailing blanks  \t \r\n  Grüße\r\n\r\n\r\n"
QUEUED = re.compile(r"250 2\.0\.0 Ok: queued as ([0-9A-Za-z]{10,})")
PORTS = ("submission", "alternate", "submissions")
_numbers = itertools.count(1)


def message(sender: Sender, recipient: str) -> bytes:
    return (
        f"From: Shop <{sender.address}>\r\nTo: <{recipient}>\r\nSubject: Order\r\n"
        'X-Franking-Tags: "orders, eu"\r\nMIME-Version: 1.0\r\n'
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        f"\r\n{BODY}"
    ).encode()


def with_smtplib(stack: RunningStack, port: str, sender: Sender, to: str, mechanism: str) -> str:
    number = getattr(stack.ports, port)
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    client: smtplib.SMTP
    if port == "submissions":
        client = smtplib.SMTP_SSL("localhost", number, context=context, timeout=20)
    else:
        client = smtplib.SMTP("localhost", number, timeout=20)
        client.starttls(context=context)
    client.ehlo()
    client.user, client.password = sender.username, sender.secret
    method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
    assert client.auth(mechanism, method)[0] == 235
    client.mail(sender.address, ["BODY=8BITMIME"])
    client.rcpt(to)
    code, text = client.data(message(sender, to))
    client.quit()
    return f"{code} {text.decode()}"


def with_swaks(stack: RunningStack, port: str, sender: Sender, to: str, mechanism: str) -> str:
    data = stack.instance.root / f"swaks-{next(_numbers)}.eml"
    data.write_bytes(message(sender, to).removesuffix(b"\r\n"))  # swaks adds one of its own
    tls = ["--tlsc"] if port == "submissions" else ["--tls"]
    done = subprocess.run(
        ["swaks", "--server", "localhost", "--port", str(getattr(stack.ports, port)), *tls,
         "--auth", mechanism, "--auth-user", sender.username, "--auth-password", sender.secret,
         "--from", sender.address, "--to", to, "--data", f"@{data}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def with_nodemailer(stack: RunningStack, port: str, sender: Sender, to: str, mechanism: str) -> str:
    options = {
        "host": "localhost",
        "port": getattr(stack.ports, port),
        "secure": port == "submissions",
        "requireTLS": True,
        "auth": {"user": sender.username, "pass": sender.secret},
        "authMethod": mechanism,
    }
    mail = {"envelope": {"from": sender.address, "to": to}, "raw": message(sender, to).decode()}
    done = subprocess.run(
        ["node", str(CLIENTS / "nodemailer.cjs")],
        input=json.dumps({"transport": options, "mail": mail}),
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(stack.instance.ca_file)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("clients")


Client = Callable[[RunningStack, str, Sender, str, str], str]


@pytest.mark.row("S0-14", "S1-5", "S2-9")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "client", [with_smtplib, with_swaks, with_nodemailer], ids=lambda c: c.__name__[5:]
)
def test_one_message_all_the_way(
    stack: RunningStack, sender: Sender, client: Client, port: str, mechanism: str
) -> None:
    before = expect.available(stack, sender)
    to = f"client-{next(_numbers)}@example.net"

    said = client(stack, port, sender, to, mechanism)

    queued = QUEUED.search(said)
    assert queued, said
    content = stack.delivered(to).content
    assert content.partition(b"\r\n\r\n")[2] == BODY.encode()
    assert b"x-franking-tags" not in content.lower()
    assert re.search(rb"(?mi)^message-id: <[^>]+@clients\.test>", content)
    shown = stack.until(lambda: _delivered(stack, queued[1]))
    assert [event["event"] for event in shown["events"]] == ["accepted", "delivered"]
    assert shown["tags"] == ["orders", "eu"]
    assert shown["charge"] | {"evidence": ""} == {
        "amount_micros": UNIT_PRICE,
        "state": "captured",
        "evidence": "",
        "refunded_micros": 0,
    }
    assert expect.available(stack, sender) == before - UNIT_PRICE


def _delivered(stack: RunningStack, queue_id: str) -> dict[str, object] | None:
    if expect.kinds(stack, queue_id)[-1] != "delivered":
        return None
    shown: dict[str, object] = stack.cli("message", "show", queue_id)
    return shown


def test_two_verifiers_agree_with_every_signature(stack: RunningStack, sender: Sender) -> None:
    contents = [d.content for d in stack.deliveries() if d.author == sender.address]
    assert len(contents) == 18
    expect.assert_signed(stack, sender, contents)


def test_secret_in_both_fields(stack: RunningStack, sender: Sender) -> None:
    twice = Sender(sender.account, sender.account_id, sender.domain, sender.secret, sender.secret)
    assert QUEUED.search(with_smtplib(stack, "submission", twice, "both@example.net", "LOGIN"))
