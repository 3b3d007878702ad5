r"""Postfix's policy delegation protocol: bytes in, requests out; actions in, bytes out.

Document: https://www.postfix.org/SMTPD_POLICY_README.html.  A request is `name=value` lines and an
empty one; the answer is `action=…` and an empty line.  Names that are not known here are ignored:
each Postfix release adds some.  ProtocolError is the peer's fault, and there is nothing to answer.

An encoded action never holds a line break, and never an enhanced status code without text behind
it, on which smtpd 3.7.11 reads past its buffer (CVE-2026-43964).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

LONGEST_REQUEST = 65_536  # octets
LONGEST_ACTION = 900  # octets; smtpd cuts replies far below that

DUNNO = "DUNNO"
_BARE_CODE = re.compile(r"[245][0-9][0-9](?: +[245]\.[0-9]{1,3}\.[0-9]{1,3})? *")


class ProtocolError(Exception):
    """The peer's fault: this is no policy request."""


@dataclass(frozen=True)
class Request:
    """The attributes that decide or explain something; empty when Postfix does not know them.

    `recipient` is known at RCPT, and at DATA only when there is exactly one; `recipient_count` is
    0 at RCPT; `queue_id` is unknown at the first RCPT.  `instance` names one mail transaction.
    """

    request: str = ""
    protocol_state: str = ""
    instance: str = ""
    queue_id: str = ""
    sender: str = ""
    recipient: str = ""
    recipient_count: str = ""
    sasl_username: str = ""
    sasl_method: str = ""
    client_address: str = ""
    client_port: str = ""
    helo_name: str = ""
    encryption_protocol: str = ""
    policy_context: str = ""

    @property
    def process(self) -> str:
        """Names the smtpd process that asks: the first part of `instance`."""
        return self.instance.partition(".")[0]

    @property
    def recipients(self) -> int:
        """How many there are, at least one."""
        return max(1, int(self.recipient_count)) if self.recipient_count.isdecimal() else 1


_KNOWN = {field.name for field in fields(Request)}


class Parser:
    """One connection of one smtpd process."""

    def __init__(self) -> None:
        self._buffer = b""
        self._values: dict[str, str] = {}
        self._size = 0

    def receive(self, data: bytes) -> Iterator[Request]:
        """The requests that these bytes complete; raises ProtocolError."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._size += len(line) + 1
            self._check(self._size)
            if line:
                self._attribute(line)
            else:
                yield self._complete()
        self._check(self._size + len(self._buffer))

    def _check(self, size: int) -> None:
        if size > LONGEST_REQUEST:
            raise ProtocolError(f"a request of more than {LONGEST_REQUEST} octets")

    def _attribute(self, line: bytes) -> None:
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if not equals:
            raise ProtocolError(f"{name[:40]!r} is not name=value")
        if name in self._values:
            raise ProtocolError(f"{name} twice in one request")
        if name in _KNOWN:
            self._values[name] = value

    def _complete(self) -> Request:
        request = Request(**self._values)
        if request.request != "smtpd_access_policy":
            raise ProtocolError(f"{request.request[:40]!r} is no policy request")
        self._values, self._size = {}, 0
        return request


def encode(action: str) -> bytes:
    """The answer that carries this action."""
    clean = "".join(c if c.isprintable() else "?" for c in action).strip() or DUNNO
    if _BARE_CODE.fullmatch(clean):
        clean += " Refused"
    octets = clean.encode("utf-8", "replace")[:LONGEST_ACTION]
    return b"action=" + octets + b"\n\n"
