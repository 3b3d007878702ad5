"""Listening sockets that outlive the daemon behind them.

A refused auth socket makes smtpd exit and master throttle the port, so the sockets of policyd and
milterd belong to systemd (production) or to the supervisor of the local stack; a restart is then
a pause (docs/decisions/0002).  A setting names one of three forms:

    systemd:NAME   what systemd passed as FileDescriptorName=NAME (sd_listen_fds(3))
    fd:N           the inherited descriptor N
    unix:PATH      made here, for tests; an old socket file is replaced
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

FIRST_FD = 3  # SD_LISTEN_FDS_START
BACKLOG = 4096  # every smtpd process keeps a connection


class SocketError(Exception):
    """The setting names no usable socket."""


def listening(spec: str) -> socket.socket:
    """The listening socket that `spec` names; raises SocketError."""
    scheme, _, rest = spec.partition(":")
    if scheme == "systemd":
        return socket.socket(fileno=_systemd_fd(rest))
    if scheme == "fd" and rest.isdigit():
        return socket.socket(fileno=int(rest))
    if scheme == "unix" and rest:
        return _bound(Path(rest))
    raise SocketError(f"{spec!r} is neither systemd:NAME, fd:N nor unix:PATH")


def _systemd_fd(name: str) -> int:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise SocketError(f"systemd passed no sockets to this process (wanted {name!r})")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        raise SocketError(f"systemd passed the sockets {names}, none is called {name!r}")
    return FIRST_FD + names.index(name)


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o666)  # smtpd connects as user postfix
    listener.listen(BACKLOG)
    return listener
