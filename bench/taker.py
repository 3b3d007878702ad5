"""A customer's server that takes webhooks as fast as it can, as a process of its own.

    python bench/taker.py JOURNAL      prints the port of /fast, then that of /dead

The first port answers 200 at once, the second takes requests and never says anything.  JOURNAL gets
a line for each event that came: when (seconds since the epoch), its name, the webhook-id.
Less is done than in http.server, because client and server share the machine.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Journal:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, head: bytes, body: bytes) -> None:
        now = time.time()
        event = json.loads(body)
        name = _field(head, b"webhook-id")
        lines = [f"{now:.6f} {each['id']} {name}\n" for each in event.get("events", [event])]
        with self._lock:
            self._file.writelines(lines)
            self._file.flush()


def _field(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(name + b":"):
            return line.partition(b":")[2].strip().decode()
    return ""


def _serve(connection: socket.socket, journal: Journal) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            if not (more := connection.recv(65_536)):
                return
            buffer += more
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        length = int(_field(head, b"content-length"))
        while len(buffer) < length:
            buffer += connection.recv(65_536)
        journal.write(head, buffer[:length])
        buffer = buffer[length:]
        connection.sendall(ANSWER)


def _taking(listener: socket.socket, journal: Journal) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_guarded, args=(connection, journal), daemon=True).start()


def _guarded(connection: socket.socket, journal: Journal) -> None:
    with connection:
        try:
            _serve(connection, journal)
        except OSError:
            return  # the worker was killed


def main() -> None:
    fast, dead = (socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(2))
    print(fast.getsockname()[1], dead.getsockname()[1], flush=True)
    with Path(sys.argv[1]).open("a") as file:
        _taking(fast, Journal(file))


if __name__ == "__main__":
    main()
