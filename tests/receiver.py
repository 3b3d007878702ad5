"""Servers that customers have: endpoints of webhooks that behave and misbehave, a mail server.

All on real sockets of 127.0.0.1.  An endpoint does what its path says:

    /ok 200    /fail 500    /gone 410    /redirect 302 to /ok    /huge 200 and 4 MiB
    /hang takes the request and says nothing    /drip a byte of the header now and then
    /endless a body without an end    /close hangs up    /cookie 200 and a cookie
    /late answers once `over` is set    /binary octets that are no text
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any

import trustme
from aiosmtpd.controller import Controller

HUGE = 4 << 20
PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Request:
    path: str
    headers: Message
    body: bytes


@dataclass
class Receiver:
    """One server; `requests` in the order in which they came."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)  # path: another status than its own
    came: Condition = field(default_factory=Condition)
    over: Event = field(default_factory=Event)
    sent: int = 0  # bytes of long bodies
    ended: Event = field(default_factory=Event)  # the first of them, whatever ended it
    connections: int = 0
    gate: Event = field(default_factory=Event)  # while it is closed nothing is answered

    def __post_init__(self) -> None:
        self.gate.set()

    def wait_for(self, count: int) -> list[Request]:
        """The first so many requests."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= count, PATIENCE)
            return list(self.requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_: Any) -> None:
        """Clients hang up; that is theirs to do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.receiver.connections += 1

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with receiver.came:
            receiver.requests.append(Request(self.path, self.headers, body))
            receiver.came.notify_all()
        receiver.gate.wait(PATIENCE)
        what = self.path.strip("/").partition("/")[0]
        with contextlib.suppress(OSError):
            getattr(self, f"_{what}", self._plain)(receiver.answered.get(self.path))

    do_GET = do_POST

    def _plain(self, status: int | None, **more: str) -> None:
        named = {"fail": 500, "gone": 410, "redirect": 302}
        self.send_response(status or named.get(self.path.strip("/"), 200))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        text = f"answer to {self.path}".encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _binary(self, _: int | None) -> None:
        body = b"a\0b\xff" + b"x" * 5000
        self.send_response(200)
        self.send_header("X-Odd", "a\x01b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, status: int | None) -> None:
        self._plain(status or 302, Location=f"{self.server.receiver.url}/ok")

    def _cookie(self, status: int | None) -> None:
        self._plain(status, Set_Cookie="tenant=one; Path=/")

    def _huge(self, _: int | None) -> None:
        self._body(HUGE)

    def _endless(self, _: int | None) -> None:
        self._body(1 << 40, pause=0.05)

    def _body(self, size: int, pause: float = 0.0) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        try:
            while size > 0 and not self.server.receiver.over.wait(pause):
                self.server.receiver.sent += self.wfile.write(b"x" * (1 if pause else 65_536))
                size -= 65_536
        finally:
            self.server.receiver.ended.set()

    def _hang(self, _: int | None) -> None:
        self.close_connection = True
        self.server.receiver.over.wait(PATIENCE)

    def _late(self, status: int | None) -> None:
        self.server.receiver.over.wait(PATIENCE)
        self._plain(status or 200)

    def _drip(self, _: int | None) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.receiver.over.wait(0.05):
            self.wfile.write(b"x")

    def _close(self, _: int | None) -> None:
        self.close_connection = True


@contextlib.contextmanager
def receiver(authority: trustme.CA | None = None, name: str = "127.0.0.1") -> Iterator[Receiver]:
    """Over TLS when there is an authority to certify `name`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    scheme = "http" if authority is None else "https"
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.receiver = Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.receiver.over.set()
        server.receiver.gate.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@dataclass
class Mailbox:
    """A mail server; `answers` by recipient, 250 for others; `answers_to_data` likewise."""

    port: int = 0
    messages: list[tuple[list[str], bytes]] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    answers_to_data: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        reply = self.answers.get(address, "250 2.1.5 Ok")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        for address in envelope.rcpt_tos:
            if address in self.answers_to_data:
                return self.answers_to_data[address]
        self.messages.append((envelope.rcpt_tos, envelope.original_content))
        return "250 2.0.0 Ok"

    @property
    def recipients(self) -> list[str]:
        return [address for recipients, _ in self.messages for address in recipients]


class _Controller(Controller):
    """On a port of the system's choice, which aiosmtpd itself does not know."""

    def __init__(self, handler: Mailbox) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        handler.port = self._listener.getsockname()[1]
        super().__init__(handler, hostname="127.0.0.1", port=handler.port)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = _Controller(box)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
