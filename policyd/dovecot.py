"""The server side of Dovecot's auth client protocol, as Postfix speaks it: bytes in, events out.

Document: https://doc.dovecot.org/2.3/developer_manual/design/auth_protocol/ (version 1.2); the
client is Postfix's xsasl/xsasl_dovecot_server.c.  Mechanisms: PLAIN (RFC 4616) and LOGIN
(draft-murchison-sasl-login), each with and without an initial response.

`Dialogue.receive` yields bytes to be sent as they are, and `Login`s to be decided; the decision
goes back through `ok` or `fail`.  What the client got wrong is answered by a FAIL here (Postfix
says 535).  There is no answer for trouble of our own: Postfix ignores FAIL's `temp`, and says 454
only when the connection is closed without one.  ProtocolError means that the peer is not Postfix,
or that one of us has lost the thread: close, too.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from franking.mail import replies

LONGEST_LINE = 16_384  # smtpd_sasl_response_limit is 12,288
LONGEST_NAME = 255
MOST_REQUESTS = 16  # unfinished ones; an smtpd process has one at a time

_NUMBER = re.compile(r"[0-9]{1,10}")
_PROMPTS = {"PLAIN": (b"",), "LOGIN": (b"Username:", b"Password:")}


class ProtocolError(Exception):
    """The peer's fault: nothing sensible can be answered."""


@dataclass(frozen=True)
class Login:
    """Somebody claims to be `username`; printable, without control characters.

    `secured` is true inside TLS.  `listener` is the name of the port (`franking.listeners`):
    Postfix's smtpd_sasl_service, which it sends as `service=`; empty when the peer did not say.
    """

    request_id: int
    mechanism: str
    username: str
    secret: str = field(repr=False)
    client_ip: str | None
    secured: bool
    listener: str


@dataclass
class _Exchange:
    """A SASL exchange that has not yet come to a Login."""

    request_id: int
    mechanism: str
    client_ip: str | None
    secured: bool
    listener: str
    responses: list[bytes] = field(default_factory=list)


class Dialogue:
    """One connection of one smtpd process."""

    def __init__(
        self,
        *,
        pid: int,
        number: int,
        cookie: str,
        mechanisms: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`number` is this connection's; `cookie` is 32 hexadecimal digits, unique to it.

        `mechanisms` are those of each listener, where they are not all of ours: Postfix's filter
        keeps the others from EHLO's list only, and passes them on when a client tries them
        (docs/decisions/0009).
        """
        self._mechanisms = mechanisms or {}
        self._greeting = (
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"
            f"SPID\t{pid}\nCUID\t{number}\nCOOKIE\t{cookie}\nDONE\n"
        )
        self._buffer = b""
        self._shaken_hands = False
        self._exchanges: dict[int, _Exchange] = {}
        self._undecided: set[int] = set()

    def greeting(self) -> bytes:
        """To be sent at once; Postfix does not wait for it before it sends its own."""
        return self._greeting.encode()

    def receive(self, data: bytes) -> Iterator[bytes | Login]:
        """Bytes to send and logins to decide, in order; raises ProtocolError."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if len(line) > LONGEST_LINE:
                raise ProtocolError(f"a line of {len(line)} octets")
            yield from self._line(line.decode("utf-8", "replace").split("\t"))
        if len(self._buffer) > LONGEST_LINE:
            raise ProtocolError(f"more than {LONGEST_LINE} octets without an end of line")

    def ok(self, request_id: int, username: str) -> bytes:
        """235.  The name becomes `sasl_username` everywhere."""
        self._undecided.remove(request_id)
        return _encode("OK", str(request_id), f"user={username}")

    def fail(self, request_id: int, reason: str, username: str | None = None) -> bytes:
        """535 with this reason.  Postfix logs the name: give it only when it is one of ours,
        because people put secrets into the wrong field."""
        self._undecided.remove(request_id)
        return _fail(request_id, reason, username)

    def _line(self, words: list[str]) -> Iterator[bytes | Login]:
        command = words[0]
        if command == "VERSION":
            if len(words) < 3 or words[1] != "1":
                raise ProtocolError("the peer speaks another version of the protocol")
        elif command == "CPID":
            self._shaken_hands = True
        elif not self._shaken_hands:
            raise ProtocolError(f"{command[:20]!r} before CPID")
        elif command == "AUTH":
            yield from self._auth(words)
        elif command == "CONT":
            yield from self._cont(words)
        # Dovecot's clients also know CANCEL and may learn more: the protocol says to ignore these.

    def _auth(self, words: list[str]) -> Iterator[bytes | Login]:
        if len(words) < 3:
            raise ProtocolError("AUTH without a mechanism")
        request_id = _number(words[1])
        if request_id in self._exchanges or request_id in self._undecided:
            raise ProtocolError(f"request {request_id} twice")
        if len(self._undecided) >= MOST_REQUESTS:
            raise ProtocolError("too many requests at the same time")
        values = dict(word.partition("=")[::2] for word in words[3:])
        mechanism = words[2].upper()
        listener = values.get("service", "")
        offered = self._mechanisms.get(listener, tuple(_PROMPTS))
        if mechanism not in _PROMPTS:
            yield _fail(request_id, replies.AUTH_FAILED)
            return
        if mechanism not in offered:
            yield _fail(request_id, replies.mechanism_not_offered(offered))
            return
        if len(self._exchanges) >= MOST_REQUESTS:  # clients that sent `*`: nobody tells us
            del self._exchanges[next(iter(self._exchanges))]
        exchange = _Exchange(
            request_id,
            mechanism,
            client_ip=values.get("rip"),
            secured="secured" in values,
            listener=listener,
        )
        self._exchanges[request_id] = exchange
        initial = values.get("resp")
        if initial is None or (initial in ("", "=") and mechanism == "LOGIN"):
            yield self._prompt(exchange)
        else:
            yield self._response(exchange, "" if initial == "=" else initial)  # RFC 4954 §4

    def _cont(self, words: list[str]) -> Iterator[bytes | Login]:
        if len(words) < 2:
            raise ProtocolError("CONT without a request")
        exchange = self._exchanges.get(_number(words[1]))
        if exchange is None:
            raise ProtocolError(f"CONT for request {words[1]}, which is not open")
        yield self._response(exchange, "\t".join(words[2:]))

    def _prompt(self, exchange: _Exchange) -> bytes:
        prompt = _PROMPTS[exchange.mechanism][len(exchange.responses)]
        return _encode("CONT", str(exchange.request_id), base64.b64encode(prompt).decode())

    def _response(self, exchange: _Exchange, text: str) -> bytes | Login:
        try:
            exchange.responses.append(base64.b64decode(text, validate=True))
            if len(exchange.responses) < len(_PROMPTS[exchange.mechanism]):
                return self._prompt(exchange)
            username, secret = _credentials(exchange)
        except (ValueError, binascii.Error):
            del self._exchanges[exchange.request_id]
            return _fail(exchange.request_id, replies.AUTH_FAILED)
        del self._exchanges[exchange.request_id]
        self._undecided.add(exchange.request_id)
        return Login(
            exchange.request_id,
            exchange.mechanism,
            username,
            secret,
            exchange.client_ip,
            exchange.secured,
            exchange.listener,
        )


def _credentials(exchange: _Exchange) -> tuple[str, str]:
    """User name and secret; raises ValueError (as does a bad UnicodeDecodeError)."""
    parts = exchange.responses
    if exchange.mechanism == "PLAIN":
        authzid, *parts = exchange.responses[0].split(b"\0")
        if len(parts) != 2 or authzid not in (b"", parts[0]):
            raise ValueError("not [authzid] NUL authcid NUL password, or on behalf of another")
    username, secret = (part.decode("utf-8") for part in parts)
    if not 1 <= len(username) <= LONGEST_NAME or not username.isprintable() or not secret:
        raise ValueError("no possible user name, or no secret")
    return username, secret


def _number(word: str) -> int:
    if not _NUMBER.fullmatch(word):
        raise ProtocolError(f"{word[:20]!r} is no request number")
    return int(word)


def _fail(request_id: int, reason: str, username: str | None = None) -> bytes:
    user = [] if username is None else [f"user={username}"]
    return _encode("FAIL", str(request_id), *user, f"reason={reason}")


def _encode(*words: str) -> bytes:
    """One line; what would end a word or the line becomes `?`, whoever wrote it."""
    clean = ("".join(c if c.isprintable() else "?" for c in word) for word in words)
    return ("\t".join(clean) + "\n").encode("utf-8", "replace")
