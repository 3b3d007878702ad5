"""A bounded SMTP load with a journal: what was sent, and what we were told of it.

Each message carries its own token in the Subject, so that the client's journal, the sink's and the
database can be held against each other.  A message that got no 250 is sent again as a new one with
a new token, as an application would; so the journal knows every attempt by name.
"""

from __future__ import annotations

import itertools
import smtplib
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

MESSAGE = (
    "From: Shop <{sender}>\r\nTo: <{recipient}>\r\nSubject: {token}\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
)


@dataclass(frozen=True)
class Outcome:
    """`code` is 0 when the connection was lost instead of a reply."""

    token: str
    code: int
    text: str

    @property
    def queue_id(self) -> str:
        return self.text.rpartition("queued as ")[2]


@dataclass
class Load:
    """`messages` of `size` bytes over `connections` sessions of at most 100 each."""

    port: int
    ca_file: str
    username: str
    password: str
    sender: str
    recipient: str = "someone@example.net"
    messages: int = 2000
    connections: int = 20
    size: int = 4096
    patience: float = 240  # seconds for the whole run
    on_progress: Callable[[int], None] = lambda _done: None
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> list[Outcome]:
        """Send until `messages` were accepted; returns every attempt's outcome."""
        self._todo = itertools.count()
        self._serial = itertools.count()
        self._lock = threading.Lock()
        self._accepted = 0
        self._deadline = time.monotonic() + self.patience
        threads = [threading.Thread(target=self._client) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self._accepted >= self.messages, f"only {self._accepted} within {self.patience} s"
        return self.outcomes

    def _client(self) -> None:
        with ExitStack() as session:
            client: smtplib.SMTP | None = None
            sent = 0
            while time.monotonic() < self._deadline and next(self._todo) < self.messages:
                done = False
                while not done and time.monotonic() < self._deadline:
                    if client is None or sent >= 100:
                        session.close()
                        client, sent = self._connect(), 0
                        if client is None:
                            continue
                        session.callback(_close, client)
                    outcome = self._send(client)
                    sent += 1
                    done = outcome.code == 250
                    if not done:
                        client = None

    def _connect(self) -> smtplib.SMTP | None:
        """A logged-in session, or None after a temporary refusal."""
        context = ssl.create_default_context(cafile=self.ca_file)
        try:
            client = smtplib.SMTP("localhost", self.port, timeout=60)
            try:
                client.starttls(context=context)
                client.login(self.username, self.password)
            except BaseException:
                client.close()
                raise
        except smtplib.SMTPAuthenticationError as error:
            self._note(Outcome("", error.smtp_code, str(error.smtp_error)))
            time.sleep(0.2)
            return None
        except (smtplib.SMTPException, OSError) as error:
            self._note(Outcome("", 0, repr(error)))
            time.sleep(0.2)
            return None
        return client

    def _send(self, client: smtplib.SMTP) -> Outcome:
        token = f"token-{next(self._serial)}"
        body = ("0123456789abcdef" * 4 + "\r\n") * (self.size // 66)
        text = MESSAGE.format(sender=self.sender, recipient=self.recipient, token=token, body=body)
        try:
            for reply in (client.mail(self.sender), client.rcpt(self.recipient)):
                if reply[0] >= 300:
                    return self._note(Outcome(token, reply[0], reply[1].decode()))
            code, answer = client.data(text)
            return self._note(Outcome(token, code, answer.decode()))
        except smtplib.SMTPDataError as error:
            return self._note(Outcome(token, error.smtp_code, str(error.smtp_error)))
        except (smtplib.SMTPException, OSError) as error:
            return self._note(Outcome(token, 0, repr(error)))

    def _note(self, outcome: Outcome) -> Outcome:
        with self._lock:
            self.outcomes.append(outcome)
            self._accepted += outcome.code == 250
            accepted = self._accepted
        if outcome.code == 250:
            self.on_progress(accepted)
        return outcome


def _close(client: smtplib.SMTP) -> None:
    try:
        client.quit()
    except (smtplib.SMTPException, OSError):
        pass
    finally:
        client.close()
