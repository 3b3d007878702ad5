"""The TCP ports of one stack, all on 127.0.0.1."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, field

from franking.listeners import SERVICES, ListenerName
from stack import StackError

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


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
        """For tests: different ports that nobody uses at this moment."""
        listeners = [socket.create_server((HOST, 0)) for _ in range(6)]
        numbers = [listener.getsockname()[1] for listener in listeners]
        for listener in listeners:
            listener.close()
        return cls(*numbers)

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
