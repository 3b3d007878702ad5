"""Tell systemd how a process is: sd_notify(3) without its library.

`READY=1` when it serves, `WATCHDOG=1` while it works, `STOPPING=1` when it ends.  Without
`$NOTIFY_SOCKET` (tests, the local stack) nothing happens; an init that does not listen is no
reason to stop either.
"""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send one state, such as `READY=1`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(), address)
    except OSError:
        return


def watchdog_seconds() -> float | None:
    """How often systemd wants a `WATCHDOG=1` at the latest; None when it does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or os.environ.get("WATCHDOG_PID", "") not in (
        "",
        str(os.getpid()),
    ):
        return None
    return int(microseconds) / 1_000_000
