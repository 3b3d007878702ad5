"""One question to one server: UDP, then TCP if the answer was cut off.

Answers come from anybody who likes to send a datagram, so one with another number, from another
address or port, to another question, or that cannot be read, is as if it had not come.  No look-up
takes longer than `PATIENCE` times the time for one question, however many servers a zone claims
to have.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time

import dns.rcode
from dns.rdatatype import RdataType

from franking.dns import wire
from franking.dns.servers import Server
from franking.dns.wire import Message, Question

PATIENCE = 5
ANSWERED = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
WITHOUT_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP)  # RFC 6891 §7: ask again without it
LARGEST = 65_535  # octets


class Unanswered(Exception):
    """No answer that could be used; the text says why, in a few words."""


class Silent(Unanswered):
    """Nothing came in time: it may have got lost."""


class OutOfPatience(Unanswered):
    """The look-up has taken too long already; the server was not even asked."""


class Inquiry:
    """The questions of one look-up; `timeout` in seconds for each of them."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._until = time.monotonic() + PATIENCE * timeout

    def ask(
        self, server: Server, name: str, type: RdataType, *, recurse: bool, tries: int = 1
    ) -> Message:
        """An answer whose code is NOERROR or NXDOMAIN; raises Unanswered."""
        edns = True
        for tried in range(tries + 1):
            question = Question.about(name, type, recurse=recurse, edns=edns)
            try:
                message = self._exchange(server, question)
            except Silent:
                if tried + 1 >= tries:
                    raise
                continue
            code = message.rcode()
            if code in ANSWERED:
                return message
            if not (edns and code in WITHOUT_EDNS):
                raise Unanswered(dns.rcode.to_text(code))
            edns = False
        raise Unanswered("no answer without EDNS either")

    def _exchange(self, server: Server, question: Question) -> Message:
        try:
            message = self._over_udp(server, question) or self._over_tcp(server, question)
        except TimeoutError as error:
            raise Silent("no answer in time") from error
        except OSError as error:
            raise Unanswered(error.strerror or "no connection") from error
        if message is None:
            raise Unanswered("an answer that cannot be read")
        return message

    def _over_udp(self, server: Server, question: Question) -> Message | None:
        """Nothing, if it is to be asked for over TCP; raises OSError.

        From a socket of its own, so from a port that cannot be guessed.  It is connected, so a
        closed port is told at once, and others are not heard.
        """
        ends = self._ends()
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as channel:
            channel.connect((server.address, server.port))
            channel.send(question.wire)
            while True:
                channel.settimeout(_left(ends))
                said = channel.recv(LARGEST)
                if not question.is_answered_by(said):
                    continue
                if wire.is_cut_off(said):
                    return None
                message = wire.read(said)
                if message is not None:
                    return message

    def _over_tcp(self, server: Server, question: Question) -> Message | None:
        """Nothing, if it cannot be read; raises OSError."""
        ends = self._ends()
        with socket.create_connection((server.address, server.port), _left(ends)) as channel:
            channel.sendall(len(question.wire).to_bytes(2, "big") + question.wire)
            length = int.from_bytes(_exactly(channel, 2, ends), "big")
            said = _exactly(channel, length, ends)
        if not question.is_answered_by(said):
            return None
        if wire.is_cut_off(said):
            raise Unanswered("an answer that is cut off")
        return wire.read(said)

    def _ends(self) -> float:
        now = time.monotonic()
        if now >= self._until:
            raise OutOfPatience("no answer in time")
        return min(now + self._timeout, self._until)


def _left(ends: float) -> float:
    """Raises TimeoutError."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _exactly(channel: socket.socket, size: int, ends: float) -> bytes:
    """Also byte by byte, but not for ever.  Raises OSError."""
    octets = b""
    while len(octets) < size:
        channel.settimeout(_left(ends))
        more = channel.recv(size - len(octets))
        if not more:
            raise ConnectionResetError(errno.ECONNRESET, "connection closed")
        octets += more
    return octets
