"""One visit to an SMTP listener, as far as TLS goes: greeting, STARTTLS, certificate, QUIT.

What the other side says is bounded in length and in time: `patience` is for the whole visit, not
for each of its lines.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from franking.deliverability.findings import plain

Tls = Literal["implicit", "starttls", "none"]
LONGEST_LINE = 2048  # octets; RFC 5321 §4.5.3.1.5 has 512
MOST_LINES = 100
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


class NoStarttls(ConnectionError):
    """It greets, and offers no TLS."""


@dataclass(frozen=True)
class Door:
    """Where to knock; `name` is whom the certificate must be for."""

    address: str
    port: int
    tls: Tls
    name: str

    @property
    def place(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"


@dataclass(frozen=True)
class Seen:
    """`certificate`: DER, empty without TLS.  `distrust`: why it is not to be trusted for the name,
    in OpenSSL's words; `code`: OpenSSL's number of that reason, 0 for none."""

    greeting: str
    version: str = ""
    certificate: bytes = b""
    distrust: str = ""
    code: int = 0


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """The host's certificate authorities, and those of `ca_file`."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def believing() -> ssl.SSLContext:
    """Takes every certificate, to look at it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    return context


def visit(door: Door, patience: float, *, roots: ssl.SSLContext | None = None) -> Seen:
    """Without `roots` any certificate will do.

    Raises OSError when nobody answers or what answers is no SMTP server; NoStarttls.
    """
    if roots is None:
        return _visit(door, believing(), patience)
    try:
        return _visit(door, roots, patience)
    except ssl.SSLCertVerificationError as error:
        distrust, code = error.verify_message, error.verify_code
    return replace(_visit(door, believing(), patience), distrust=distrust, code=code)


def _visit(door: Door, context: ssl.SSLContext, patience: float) -> Seen:
    deadline = time.monotonic() + patience
    reached = socket.create_connection((door.address, door.port), patience)
    with closing(_Connection(reached, deadline)) as connection:
        if door.tls == "implicit":
            connection.secure(context, door.name)
        greeting = connection.reply("220")
        if door.tls == "starttls":
            connection.say("EHLO localhost")
            if "STARTTLS" not in connection.reply("250").upper().split("\n"):
                raise NoStarttls(f"{greeting} (no STARTTLS)")
            connection.say("STARTTLS")
            connection.reply("220")
            connection.secure(context, door.name)
        with suppress(OSError):
            connection.say("QUIT")
            connection.reply("221")
        return Seen(plain(greeting.replace("\n", " "), 200), *connection.security())


class _Connection:
    def __init__(self, plain_socket: socket.socket, deadline: float) -> None:
        self._socket = plain_socket
        self._deadline = deadline
        self._unread = b""

    def close(self) -> None:
        self._socket.close()

    def secure(self, context: ssl.SSLContext, name: str) -> None:
        self._hurry()
        self._unread = b""  # not protected by TLS: forget it (CVE-2011-0411)
        self._socket = context.wrap_socket(self._socket, server_hostname=name)

    def security(self) -> tuple[str, bytes]:
        if not isinstance(self._socket, ssl.SSLSocket):
            return "", b""
        return self._socket.version() or "", self._socket.getpeercert(binary_form=True) or b""

    def say(self, line: str) -> None:
        self._hurry()
        self._socket.sendall(f"{line}\r\n".encode("ascii"))

    def reply(self, wanted: str) -> str:
        """The text of a reply with that code, its lines joined; ConnectionError for another."""
        lines = []
        for _ in range(MOST_LINES):
            line = self._line()
            lines.append(line[4:])
            if line[:3] != wanted or line[3:4] not in ("-", " ", ""):
                raise ConnectionError(f"answered {plain(line, 200)!r} instead of {wanted}")
            if line[3:4] != "-":
                return "\n".join(lines)
        raise ConnectionError(f"a reply of more than {MOST_LINES} lines")

    def _line(self) -> str:
        while b"\n" not in self._unread:
            if len(self._unread) > LONGEST_LINE:
                raise ConnectionError(f"a line of more than {LONGEST_LINE} octets")
            self._hurry()
            more = self._socket.recv(LONGEST_LINE)
            if not more:
                raise ConnectionError("closed the connection")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _hurry(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
