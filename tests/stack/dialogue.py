"""An SMTP session in which a test decides about every octet.

smtplib repairs what it is given: line ends, dots, line breaks in commands.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from stack.running import RunningStack, Sender

_LAST_LINE = re.compile(rb"(?:\A|\n)(\d{3}) [^\n]*\n\Z")
END = b".\r\n"


class Dialogue:
    """`peer` is connected; TLS, if any, has been set up by `opened`."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.closed = False  # by the server

    def reply(self) -> str:
        """One whole reply, its lines joined by LF; empty when the server has hung up."""
        text = b""
        while not self.closed and not _LAST_LINE.search(text):
            octets = self._octet_by_octet()
            if not octets:
                self.closed = True
                break
            text += octets
        return text.decode("utf-8", "replace").replace("\r", "").strip()

    def _octet_by_octet(self) -> bytes:
        """A line and not more: replies to pipelined commands are read one at a time."""
        line = b""
        try:
            while not line.endswith(b"\n"):
                octet = self.peer.recv(1)
                if not octet:
                    return b""
                line += octet
        except (ConnectionError, ssl.SSLError):
            return b""
        return line

    def send(self, octets: bytes) -> None:
        if self.closed:
            return
        try:
            self.peer.sendall(octets)
        except (ConnectionError, ssl.SSLError):
            self.closed = True

    def say(self, command: str | bytes) -> str:
        """The reply to a command."""
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.reply()

    def login(self, sender: Sender) -> None:
        token = base64.b64encode(f"\0{sender.username}\0{sender.secret}".encode()).decode()
        said = self.say(f"AUTH PLAIN {token}")
        assert said.startswith("235 "), said

    def begin(self, sender: str, *recipients: str, parameters: str = "") -> str:
        """MAIL, RCPT and DATA; the first reply that is neither 250 nor 354, or the last."""
        commands = [f"MAIL FROM:<{sender}>{parameters}"]
        commands += [f"RCPT TO:<{recipient}>" for recipient in recipients]
        said = ""
        for command in [*commands, "DATA"]:
            said = self.say(command)
            if said[:3] not in ("250", "354"):
                break
        return said

    def end(self, content: bytes) -> str:
        """The reply to a message, which is sent as it is: no dot is doubled."""
        self.send(content + END)
        return self.reply()

    def rest(self) -> list[str]:
        """All replies until the server hangs up."""
        replies = []
        while reply := self.reply():
            replies.append(reply)
        return replies


def stuffed(content: bytes) -> bytes:
    """As a client sends it (RFC 5321 §4.5.2), with a line end where the last line has none."""
    whole = content if content.endswith(b"\r\n") else content + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", whole)


@contextmanager
def opened(
    stack: RunningStack, port: str = "submission", *, tls: bool = True
) -> Iterator[Dialogue]:
    """A session after the banner and, with `tls`, after STARTTLS and EHLO."""
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    with socket.create_connection(("127.0.0.1", getattr(stack.ports, port)), 20) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        implicit = port == "submissions"
        if not tls and not implicit:
            yield _greeted(Dialogue(plain))
            return
        if not implicit:
            session = _greeted(Dialogue(plain))
            assert session.say("EHLO client.example").startswith("250")
            assert session.say("STARTTLS").startswith("220")
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            session = Dialogue(secure)
            if implicit:
                _greeted(session)
            assert session.say("EHLO client.example").startswith("250")
            yield session


def _greeted(session: Dialogue) -> Dialogue:
    banner = session.reply()
    assert banner.startswith("220 "), banner
    return session


@contextmanager
def logged_in(stack: RunningStack, sender: Sender, port: str = "submission") -> Iterator[Dialogue]:
    with opened(stack, port) as session:
        session.login(sender)
        yield session
