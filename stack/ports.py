"""The TCP ports of one stack, all on 127.0.0.1."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import asdict, dataclass, field, fields

from franking.listeners import SERVICES, ListenerName
from stack import StackError

HOST = "127.0.0.1"
CHOICE = range(15_000, 32_000)


def free_port() -> int:
    """A port that nobody uses, and that no other call gives away while this process lives.

    Two stacks that start at the same time would else choose alike, and nothing would tell them:
    Postfix listens with SO_REUSEPORT, so both get the port and half of its connections each.  The
    choice is marked by the name of an abstract Unix socket.  Ports that the kernel gives to
    outgoing connections are left to them.
    """
    for port in random.sample(CHOICE, len(CHOICE)):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0franking-port-{port}")
            socket.create_server((HOST, port)).close()
        except OSError:
            mark.close()
        else:
            mark.detach()  # open until the process ends
            return port
    raise StackError(f"no port of {HOST} between {CHOICE[0]} and {CHOICE[-1]} is free")


@dataclass(frozen=True)
class Ports:
    smtp: int = 2525
    submission: int = 2587
    submissions: int = 2465
    alternate: int = 2526
    panel: int = 8025
    sink: int = field(default_factory=free_port)

    @classmethod
    def free(cls) -> Ports:
        """For tests: ports that are theirs alone."""
        return cls(*(free_port() for _ in fields(cls)))

    def smtp_ports(self) -> dict[ListenerName, int]:
        return {name: getattr(self, name) for name in SERVICES}

    def check_free(self) -> None:
        """Raises StackError that names the first port in use and the option that changes it."""
        for name, number in asdict(self).items():
            try:
                socket.create_server((HOST, number)).close()
            except OSError as error:
                raise StackError(
                    f"port {number} ({name}) cannot be used: {os.strerror(error.errno or 0)}.\n"
                    f"Stop the program that has it, or choose another: --port-{name} NUMBER"
                ) from error
