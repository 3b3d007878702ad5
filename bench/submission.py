"""A load of mail at a steady rate, as a process of its own, and a journal of every reply.

    python bench/submission.py '{"port": 2465, "ca_file": …}'      (the fields of `Load`)

What got no 250 is sent again, as an application would, until it gets one or the time is over; each
attempt has its own token in the Subject, so that the journal, the receiver and the database can be
held against each other.  Less is done per message than in smtplib, because client and server share
the machine: commands are pipelined (RFC 2920), and TLS is implicit (RFC 8314).
The journal is one JSON array a line: token, sender's number, code, text.  Code 0 is a connection
that was lost instead of a reply; an empty token is a login.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # seconds for one reply
PAUSE = 0.1  # seconds before an attempt that follows a failed one
MOST = 100  # messages a session


@dataclass(frozen=True)
class Customer:
    """Who sends what to whom, on `share` out of all customers' shares of the connections."""

    username: str
    password: str
    address: str
    recipients: tuple[str, ...]
    share: int = 1


@dataclass(frozen=True)
class Load:
    """`rate` messages a second of `size` bytes for `seconds`; `last` more for what failed."""

    port: int
    ca_file: str
    customers: tuple[Customer, ...]
    journal: str
    seconds: float
    rate: float
    connections: int = 16
    size: int = 4096
    last: float = 20.0

    @classmethod
    def of(cls, text: str) -> Load:
        values = json.loads(text)
        customers = tuple(
            Customer(**{**each, "recipients": tuple(each["recipients"])})
            for each in values.pop("customers")
        )
        return cls(customers=customers, **values)

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))


class Refusal(Exception):
    """The server's reply, where another one was hoped for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class Session:
    """One logged-in connection; raises Refusal or OSError."""

    def __init__(self, port: int, context: ssl.SSLContext, customer: Customer) -> None:
        self.sent = 0
        plain = socket.create_connection(("localhost", port), PATIENCE)
        try:
            self._socket = context.wrap_socket(plain, server_hostname="localhost")
            self._replies = self._socket.makefile("rb")
            self._expect(220)
            self._say(b"EHLO client.test")
            self._expect(250)
            secret = f"\0{customer.username}\0{customer.password}".encode()
            self._say(b"AUTH PLAIN " + base64.b64encode(secret))
            self._expect(235)
        except BaseException:
            self.close()
            plain.close()
            raise

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """The text of the 250; after anything else the session is of no use any more."""
        self.sent += 1
        commands = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{to}>" for to in recipients), "DATA"]
        self._say("\r\n".join(commands).encode())
        for _ in commands[:-1]:
            self._expect(250)
        self._expect(354)
        self._say(content + b".")
        return self._expect(250)

    def close(self) -> None:
        for part in ("_replies", "_socket"):
            if hasattr(self, part):
                getattr(self, part).close()

    def _say(self, line: bytes) -> None:
        self._socket.sendall(line + b"\r\n")

    def _expect(self, code: int) -> str:
        lines = []
        while True:
            line = self._replies.readline(2048).decode(errors="replace")
            if not line.endswith("\n"):
                raise ConnectionResetError("no reply")
            lines.append(line[4:].strip())
            if line[3:4] != "-":
                break
        if int(line[:3]) != code:
            raise Refusal(int(line[:3]), " ".join(lines))
        return lines[-1]


class Client:
    """Threads that take the next message when its time has come."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._context = ssl.create_default_context(cafile=load.ca_file)
        self._numbers = itertools.count()
        self._attempts = itertools.count()
        self._senders = [n for n, each in enumerate(load.customers) for _ in range(each.share)]
        line = "0123456789abcdef" * 4 + "\r\n"
        self._body = line * (load.size // len(line))
        self._lock = threading.Lock()
        self._own = threading.local()  # .session

    def run(self) -> None:
        self._begun = time.monotonic()
        with Path(self._load.journal).open("w") as self._journal:
            threads = [
                threading.Thread(target=self._work, args=(self._senders[n % len(self._senders)],))
                for n in range(self._load.connections)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _due(self) -> Iterator[int]:
        """Message numbers, each at its time; what is late is due at once."""
        for number in self._numbers:
            wait = number / self._load.rate - self._elapsed
            if self._elapsed + max(wait, 0) >= self._load.seconds:
                return
            time.sleep(max(wait, 0))
            yield number

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _work(self, sender: int) -> None:
        """One connection at a time: who waits for a second one may wait for itself."""
        for _ in self._due():
            while self._elapsed < self._load.seconds + self._load.last:
                if self._attempt(sender):
                    break
                self._hang_up()
                time.sleep(PAUSE)
        self._hang_up()

    def _hang_up(self) -> None:
        if (session := self._own.__dict__.pop("session", None)) is not None:
            session.close()

    def _attempt(self, sender: int) -> bool:
        customer = self._load.customers[sender]
        with self._noted() as notes:
            session = getattr(self._own, "session", None)
            if session is None or session.sent >= MOST:
                self._hang_up()
                session = self._own.session = Session(self._load.port, self._context, customer)
            token = f"chaos-{next(self._attempts)}"
            notes += [token, sender]
            said = session.send(customer.address, customer.recipients, self._message(sender, token))
            notes += [250, said]
            return True
        return False

    @contextmanager
    def _noted(self) -> Iterator[list[Any]]:
        """Collects token, sender, code and text of one attempt, whatever becomes of it."""
        notes: list[Any] = []
        try:
            yield notes
        except Refusal as refusal:
            notes[:] = [*(notes[:2] or ["", -1]), refusal.code, refusal.text]
        except OSError as error:
            notes[:] = [*(notes[:2] or ["", -1]), 0, repr(error)]
        with self._lock:
            self._journal.write(json.dumps(notes) + "\n")

    def _message(self, sender: int, token: str) -> bytes:
        customer = self._load.customers[sender]
        return (
            f"From: Shop <{customer.address}>\r\nTo: <{customer.recipients[0]}>\r\n"
            f"Subject: {token}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{self._body}"
        ).encode()


if __name__ == "__main__":
    Client(Load.of(sys.argv[1])).run()
