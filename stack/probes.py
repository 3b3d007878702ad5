"""Does each process answer?  One function per process; it raises OSError while it does not.

Asked of the real protocols: the supervisor holds the listening sockets, so a connection alone
proves nothing about the process behind it.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable

from stack.instance import Instance
from stack.ports import HOST

PATIENCE = 2.0  # seconds for one answer

Probe = Callable[[Instance], None]


def policyd(instance: Instance) -> None:
    """Its half of the handshake of Dovecot's auth protocol."""
    with _unix(instance, "auth") as connection:
        connection.sendall(b"VERSION\t1\t0\nCPID\t1\n")
        _expect(connection, b"DONE\n")


def milterd(instance: Instance) -> None:
    """An answer to SMFIC_OPTNEG, the first packet of the milter protocol."""
    with _unix(instance, "milter") as connection:
        connection.sendall(struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF))
        _expect(connection, b"O")


def webpanel(instance: Instance) -> None:
    with _tcp(instance.ports.panel) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        _expect(connection, b"HTTP/1.")


def sink(instance: Instance) -> None:
    with _tcp(instance.ports.sink) as connection:
        _expect(connection, b"220 ")
        connection.sendall(b"QUIT\r\n")


def postfix(instance: Instance) -> None:
    """A greeting on each port that is open."""
    context = ssl.create_default_context(cafile=str(instance.ca_file))
    ports = instance.ports.smtp_ports()
    for name, listener in instance.listeners.enabled():
        connection = _tcp(ports[name])
        if listener.tls == "implicit":
            connection = context.wrap_socket(connection, server_hostname=HOST)
        with connection:
            _expect(connection, b"220 ")
            connection.sendall(b"QUIT\r\n")
            _expect(connection, b"221 ")


# The worker listens to nobody; that it stays up is judged by its pid.
ALL: dict[str, Probe] = {
    "sink": sink,
    "policyd": policyd,
    "milterd": milterd,
    "webpanel": webpanel,
    "postfix": postfix,
}


def _unix(instance: Instance, name: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(instance.socket(name)))
    return connection


def _tcp(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE)


def _expect(connection: socket.socket, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError(f"closed the connection after {received[:80]!r}")
        received += more
