"""Programs that customers have, each as its documentation says, once per port: PHPMailer, Django,
msmtp, curl, Go.  None is told to trust blindly: each verifies the stack's certificate.

Those that write the message themselves (PHPMailer, Django) are compared by what a reader sees, the
others byte for byte.  Where a program keeps the server's reply to itself, the message is found by
its recipient.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import expect
import pytest

from franking.accounts import account as accounts
from franking.mail import messages
from franking.mail.models import Message
from stack.demo import UNIT_PRICE
from stack.running import RunningStack, Sender

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]

CLIENTS = Path(__file__).parent.parent / "clients"
INSTALLED = Path(sys.prefix) / "clients"  # by script/test
PORTS = ("smtp", "submission", "alternate", "submissions")
SUBJECT = "Größe bestätigt"
TEXT = "Hällo,\n\n. a dot\n..two\ntrailing blanks  \t \n  Grüße\n"
QUEUED = re.compile(r"\bqueued as ([0-9A-Za-z]{10,})")


@dataclass(frozen=True)
class Order:
    """What one client is to do."""

    port: int
    implicit_tls: bool
    sender: Sender
    to: str
    ca_file: Path
    directory: Path  # for what it needs to have on disk

    def message(self) -> str:
        head = (
            f"From: Shop <{self.sender.address}>\nTo: {self.to}\n"
            "Subject: =?utf-8?B?R3LDtsOfZSBiZXN0w6R0aWd0?=\nX-Franking-Tags: orders, eu\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n\n"
        )
        return (head + TEXT).replace("\n", "\r\n")

    def json(self) -> str:
        """For the programs in tests/clients, which take from it what they need."""
        return json.dumps(
            {
                "host": "localhost",
                "port": self.port,
                "implicit_tls": self.implicit_tls,
                "user": self.sender.username,
                "password": self.sender.secret,
                "from": self.sender.address,
                "to": self.to,
                "subject": SUBJECT,
                "text": TEXT,
                "headers": {"X-Franking-Tags": "orders, eu"},
                "message": self.message(),
            }
        )


def run(command: list[str | Path], text: str, **environment: str | Path) -> str:
    """What it prints on both channels; fails with that when it fails."""
    done = subprocess.run(
        command, input=text.encode(), env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
    )  # fmt: skip
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


def phpmailer(order: Order) -> str:
    trust = f"openssl.cafile={order.ca_file}"
    return run(["php", "-d", trust, CLIENTS / "phpmailer.php"], order.json())


def django_5(order: Order) -> str:
    return django(order, "django-5", Path(sys.executable))


def django_6(order: Order) -> str:
    return django(order, "django-6", INSTALLED / "python" / "bin" / "python3")


def django(order: Order, version: str, python: Path) -> str:
    """Deprecated settings would be an error."""
    program = CLIENTS / f"{version.replace('-', '_')}.py"
    where = INSTALLED / version
    return run(
        [python, "-W", "error", program],
        order.json(),
        PYTHONPATH=where,
        SSL_CERT_FILE=order.ca_file,
    )


def msmtp(order: Order) -> str:
    configuration = order.directory / "msmtprc"
    configuration.write_text(
        f"account shop\nhost localhost\nport {order.port}\n"
        f"tls on\ntls_starttls {'off' if order.implicit_tls else 'on'}\n"
        f"tls_trust_file {order.ca_file}\n"
        f"auth on\nuser {order.sender.username}\npassword {order.sender.secret}\n"
        f"from {order.sender.address}\nlogfile -\n\naccount default : shop\n"
    )
    configuration.chmod(0o600)
    return run(["msmtp", f"--file={configuration}", order.to], order.message())


def curl(order: Order) -> str:
    scheme = "smtps" if order.implicit_tls else "smtp"
    return run(
        ["curl", "--verbose", "--ssl-reqd", f"{scheme}://localhost:{order.port}",
         "--cacert", order.ca_file, "--user", f"{order.sender.username}:{order.sender.secret}",
         "--mail-from", order.sender.address, "--mail-rcpt", order.to, "--upload-file", "-"],
        order.message(),
    )  # fmt: skip


def go(order: Order) -> str:
    return run([compiled(order.directory)], order.json(), SSL_CERT_FILE=order.ca_file)


@cache
def compiled(directory: Path) -> Path:
    """With nothing from the network: the standard library is all it has."""
    program = directory / "mail"
    run(
        ["go", "build", "-o", program, CLIENTS / "mail.go"], "",
        HOME=directory, GOCACHE=directory / "cache", GOFLAGS="-mod=mod", GOPROXY="off",
        GOTOOLCHAIN="local",
    )  # fmt: skip
    return program


@pytest.fixture(scope="module")
def stack(short_directory: Path) -> Iterator[RunningStack]:
    """One whose port 25 takes submission, as an operator may have it."""
    place = short_directory / "clients"
    place.mkdir(mode=0o755)
    listeners = {"smtp": {"submission": True}}
    with RunningStack.started(place, settings={"listeners": listeners}) as running:
        yield running


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("more-clients")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.mark.row("S0-14", "S1-5", "S2-9")
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(
    "client", [phpmailer, django_5, django_6, msmtp, curl, go], ids=lambda c: c.__name__
)
def test_one_message_all_the_way(
    stack: RunningStack, sender: Sender, directory: Path, client: Callable[[Order], str], port: str
) -> None:
    before = expect.available(stack, sender)
    to = f"{client.__name__}-{port}@example.net"
    order = Order(
        port=getattr(stack.ports, port),
        implicit_tls=port == "submissions",
        sender=sender,
        to=to,
        ca_file=stack.instance.ca_file,
        directory=directory,
    )

    said = client(order)

    content = stack.delivered(to).content
    message = _only_message_to(stack, sender, to)
    if client in (phpmailer, msmtp, curl):
        queued = QUEUED.search(said)
        assert queued, said
        assert queued[1] == message.queue_id
    if client in (msmtp, curl, go):
        assert content.partition(b"\r\n\r\n")[2] == TEXT.replace("\n", "\r\n").encode()
    read = email.message_from_bytes(content.replace(b"\r\n", b"\n"), policy=email.policy.default)
    assert isinstance(read, email.message.EmailMessage)
    assert read["Subject"] == SUBJECT
    assert read.get_content().rstrip("\n") == TEXT.rstrip("\n")
    assert "X-Franking-Tags" not in read
    assert message.tags == ["orders", "eu"]
    expect.assert_signed(stack, sender, [content])

    stack.until(lambda: expect.kinds(stack, message.queue_id)[1:] or None)
    assert expect.kinds(stack, message.queue_id) == ["accepted", "delivered"]
    assert expect.reservations(stack, sender)[message.queue_id] == "captured"
    assert expect.available(stack, sender) == before - UNIT_PRICE


def _only_message_to(stack: RunningStack, sender: Sender, to: str) -> Message:
    with stack.database.session() as session:
        account = accounts.get(session, sender.account)
        [message] = messages.search(session, account, messages.Filter(recipient=to)).rows
        return message
