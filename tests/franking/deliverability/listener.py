"""An SMTP listener with a certificate of one's choice, as far as STARTTLS; well-behaved or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from threading import Event, Thread

import trustme
from trustme import LeafCert

AUTHORITY = trustme.CA(organization_name="Tests")
PATIENCE = 10.0  # seconds


class Listener:
    """`manner`: starttls, implicit, plain (no STARTTLS), silent, drip, endless, or a first line."""

    def __init__(self, manner: str, context: ssl.SSLContext, greeting: str) -> None:
        self.manner = manner
        self._context = context
        self._greeting = greeting
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.over = Event()
        self.visits = 0
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.settimeout(PATIENCE)
            with contextlib.suppress(OSError), contextlib.closing(connection):
                self._visit(connection)

    def _visit(self, connection: socket.socket) -> None:
        match self.manner:
            case "silent":
                connection.recv(1)
            case "drip":
                while not self.over.wait(0.01):
                    connection.sendall(b"2")
            case "endless":
                while not self.over.is_set():
                    connection.sendall(b"2" * 65_536)
            case "implicit":
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._talk(secured)
            case "starttls" | "plain":
                self._talk(connection)
            case line:
                connection.sendall(f"{line}\r\n".encode())

    def _talk(self, connection: socket.socket) -> None:
        connection.sendall(f"220 {self._greeting}\r\n".encode())
        while line := _line(connection):
            match line.split()[0].upper():
                case b"EHLO":
                    offers = "250-STARTTLS\r\n" if self.manner == "starttls" else ""
                    connection.sendall(f"250-here\r\n{offers}250 SIZE\r\n".encode())
                case b"STARTTLS":
                    connection.sendall(b"220 Ready\r\n")
                    connection = self._context.wrap_socket(connection, server_side=True)
                case _:
                    connection.sendall(b"221 Bye\r\n")
                    connection.close()
                    return


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(1)
        if not more:
            return b""
        line += more
    return line


@contextlib.contextmanager
def listener(
    manner: str = "starttls",
    certificate: LeafCert | None = None,
    *,
    greeting: str = "mx.relay.test ESMTP",
    chain: bool = True,
) -> Iterator[Listener]:
    """Its certificate is for 127.0.0.1, unless it is given another; `chain`: with intermediates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    leaf = certificate or AUTHORITY.issue_cert("127.0.0.1")
    parts = leaf.cert_chain_pems if chain else leaf.cert_chain_pems[:1]
    pem = leaf.private_key_pem.bytes() + b"".join(part.bytes() for part in parts)
    with trustme.Blob(pem).tempfile() as file:
        context.load_cert_chain(file)
    opened = Listener(manner, context, greeting)
    try:
        yield opened
    finally:
        opened.close()
