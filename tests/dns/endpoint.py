"""The sockets of a server: UDP and TCP on one port, in a thread."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from threading import Event, Thread
from types import TracebackType
from typing import Any, Protocol, Self

PATIENCE = 10.0  # seconds


class Replies(Protocol):
    def __call__(self, wire: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        """Nothing, if there is to be no reply; and after how many seconds it is to come."""


class Endpoint:
    """`port` 0: a free one."""

    def __init__(self, address: str, port: int, reply: Replies) -> None:
        self._reply = reply
        self._datagrams, self._listener = _sockets(address, port)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._over = Event()
        self._threads: list[Thread] = []

    def __enter__(self) -> Self:
        self._start(self._serve)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._wake.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in (self._woken, self._datagrams, self._listener):
            each.close()

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = Thread(target=target, args=arguments, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in (self._woken, self._datagrams, self._listener):
                selector.register(each, selectors.EVENT_READ)
            while not self._over.is_set():
                for key, _ in selector.select():
                    if key.fileobj is self._datagrams:
                        self._datagram()
                    elif key.fileobj is self._listener:
                        self._start(self._connection, self._listener.accept()[0])

    def _datagram(self) -> None:
        wire, client = self._datagrams.recvfrom(65_535)
        reply, delay = self._reply(wire, tcp=False)
        if reply and delay:
            self._start(self._send_later, reply, delay, client)
        elif reply:
            self._datagrams.sendto(reply, client)

    def _send_later(self, reply: bytes, delay: float, client: Any) -> None:
        if not self._over.wait(delay):
            self._datagrams.sendto(reply, client)

    def _connection(self, channel: socket.socket) -> None:
        """One question; without a reply, until the client has had enough."""
        with contextlib.closing(channel), contextlib.suppress(OSError, struct.error):
            channel.settimeout(PATIENCE)
            (length,) = struct.unpack("!H", channel.recv(2, socket.MSG_WAITALL))
            reply, delay = self._reply(channel.recv(length, socket.MSG_WAITALL), tcp=True)
            self._over.wait(delay)
            if reply:
                channel.sendall(struct.pack("!H", len(reply)) + reply)
            else:
                channel.recv(1)


def _sockets(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """The kernel's choice for TCP may be taken for UDP: then another one is asked for."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        listener = socket.create_server((address, port), family=family, backlog=128)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        try:
            datagrams.bind(listener.getsockname()[:2])
        except OSError:
            listener.close()
            datagrams.close()
            if port:
                raise
        else:
            return datagrams, listener
