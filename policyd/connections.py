"""What is known of each SMTP session that is open now, from the questions asked about it.

Postfix tells policyd of no connection and no disconnection, but an smtpd process serves one client
at a time and keeps its policy connection.  So a session is named by its smtpd process (the first
part of `instance`), and it has ended when that process asks about another client or closes its
policy connection, or when the kernel no longer knows the client's connection.  The last is only
looked up when a limit seems to be reached, and only believed on a listener where the client that is
asking can be seen: behind a proxy (PROXY protocol) nobody's can, and a session then counts until
its process has been silent for some seconds.

It lives in memory: a restart of policyd begins to count anew.
"""

from __future__ import annotations

import functools
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from franking.accounts import networks
from policyd.delegation import Request

Client = tuple[str, str]  # address and port, as Postfix writes them

IDLE = 10.0  # seconds; who sends one message a connection must not be counted long after it left
FORGET = 3_600.0  # seconds of silence
MOST = 20_000  # sessions; Postfix's process limit is far below
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"


@dataclass
class Connection:
    """One SMTP session; `number` counts its transactions from 1.

    `under_way`: a recipient of the present transaction was let pass.  `inbound`: so often a mailbox
    of ours was, for a client that is not logged in.
    """

    process: str
    client: Client
    username: str
    listener: str
    seen: float
    number: int = 0
    instance: str = ""
    under_way: bool = False
    inbound: int = 0
    admitted: bool = False
    closed: bool = False
    recipients: set[str] = field(default_factory=set)


class Connections:
    """Safe to use from the threads that decide."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        established: Callable[[], set[Client]] | None = None,
    ) -> None:
        self._clock = clock
        self._established = established or established_clients
        self._lock = threading.Lock()
        self._sessions: dict[str, Connection] = {}
        self._looking = threading.Lock()
        self._looked = frozenset[Client]()
        self._looked_at = float("-inf")

    def asked(self, request: Request) -> Connection:
        """The session of this question; a new `instance` is its next transaction."""
        process = request.process
        client = (request.client_address, request.client_port)
        with self._lock:
            known = self._sessions.get(process)
            if known is None or known.client != client or known.username != request.sasl_username:
                self._forget()
                known = Connection(
                    process, client, request.sasl_username, request.policy_context, self._clock()
                )
                self._sessions[process] = known
            known.seen = self._clock()
            known.closed = False
            if request.instance != known.instance:
                known.instance = request.instance
                known.number += 1
                known.under_way = False
                known.inbound = 0
                known.recipients.clear()
            return known

    def admits(self, connection: Connection, most: int) -> bool:
        """Whether no more than `most` sessions of this user name are open with this one."""
        with self._lock:
            if connection.admitted:
                return True
            full = self._full(connection, most)
        open_now = self._open_now() if full else frozenset()  # long: nobody else should wait for it
        with self._lock:
            if full:
                self._close_ended(connection, open_now)
            connection.admitted = not self._full(connection, most)
            return connection.admitted

    def takes(self, connection: Connection, recipient: str, most: int) -> bool:
        """Whether this recipient is one of the first `most` of the transaction."""
        with self._lock:
            if recipient not in connection.recipients:
                if len(connection.recipients) >= most:
                    return False
                connection.recipients.add(recipient)
            return True

    def process_ended(self, process: str) -> None:
        """Its policy connection is closed; Postfix also closes one that is old, and goes on."""
        with self._lock:
            if (known := self._sessions.get(process)) is not None:
                known.closed = True

    def _full(self, connection: Connection, most: int) -> bool:
        return len(list(self._others(connection))) >= most

    def _others(self, connection: Connection) -> Iterator[Connection]:
        return (
            other
            for other in self._sessions.values()
            if other is not connection
            and other.username == connection.username
            and other.admitted
            and not other.closed
        )

    def _open_now(self) -> frozenset[Client]:
        """From a look that began after this question: a client that has just left makes room.

        A look is some milliseconds.  Only sessions that seem to be too many have one, and they
        share it when they come together; each has cost more than that by its TLS handshake.
        """
        asked = self._clock()
        with self._looking:
            if self._looked_at <= asked:
                self._looked_at = self._clock()
                self._looked = frozenset(self._established())
            return self._looked

    def _close_ended(self, asking: Connection, open_now: frozenset[Client]) -> None:
        now = self._clock()
        visible = _seen_as(asking.client) in open_now
        for other in self._others(asking):
            if visible and other.listener == asking.listener:
                other.closed = _seen_as(other.client) not in open_now
            else:
                other.closed = now - other.seen > IDLE

    def _forget(self) -> None:
        if len(self._sessions) < MOST:
            return
        oldest = self._clock() - FORGET
        self._sessions = {p: c for p, c in self._sessions.items() if c.seen > oldest}


def _seen_as(client: Client) -> Client:
    """As `established_clients` writes it."""
    return _plain(client[0]), client[1]


def established_clients() -> set[Client]:
    """Address and port of everybody who is connected to this host, from the kernel's tables."""
    found = set()
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, _, remote, state, _ = line.split(None, 4)
            if state == _ESTABLISHED:
                address, _, port = remote.partition(":")
                found.add((_address(address), str(int(port, 16))))
    return found


@functools.lru_cache(10_000)
def _address(octets: str) -> str:
    """`0100007F` → 127.0.0.1: words of 32 bits in the host's order, proc(5)."""
    words = [bytes.fromhex(octets[i : i + 8])[::-1] for i in range(0, len(octets), 8)]
    return _plain(str(ipaddress.ip_address(b"".join(words))))


def _plain(client_ip: str) -> str:
    """An IPv4 address in IPv6's clothes is the IPv4 address; what is none stays as it is."""
    return str(networks.address(client_ip) or client_ip)
