"""HTTP to an address that a customer has chosen, without being made to serve somebody else.

* The name is resolved once, its address is checked, and that very address is connected to
  (requests-hardened; `franking.webhooks.addresses` has what its list lacks), so a name that
  leads elsewhere the next moment gains nothing.
* No redirects, no proxies or passwords from our environment, no cookies, no decompression.
* A whole answer has one deadline.  The timeouts of requests begin anew with every read, so a
  server that sends a byte now and then would keep us for ever.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from franking.webhooks.addresses import forbidden
from franking.webhooks.config import Webhooks

__all__ = ["Forbidden", "Late", "Session", "deadline", "session"]

LOOK = 0.05  # seconds by which a deadline may be late

Forbidden = InvalidIPAddress
Session = requests.Session

# It tells of refused addresses, in lines that are not ours; the delivery says it, too.
logging.getLogger("requests_hardened").addHandler(logging.NullHandler())


class Late(Exception):
    """There was no whole answer in time."""


def session(rules: Webhooks) -> Session:
    """For one thread; keeps connections open for the next delivery to the same place."""
    made = requests.Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    made.verify = str(rules.ca_file) if rules.ca_file else True
    for scheme in ("http", "https"):
        adapter = _Bounded() if rules.allow_private else _Guarded(scheme == "https")
        made.mount(f"{scheme}://", adapter)
    return made


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """What this thread asks inside the block is broken off after so long; raises Late."""
    clock = _Clock(seconds)
    _of_thread.clock = clock
    try:
        yield
    except Exception as error:
        if clock.struck:
            raise Late from error
        raise
    finally:
        _of_thread.clock = None
        clock.stop()
    if clock.struck:
        raise Late  # what was read was cut off, not the end


class _Clock:
    """Shuts the connection when the time is over, which ends every wait for it."""

    def __init__(self, seconds: float) -> None:
        self.struck = False
        self.due_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        _watchman.add(self)

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._connection = connection
            if self.struck:
                raise Late

    def stop(self) -> None:
        _watchman.remove(self)
        with self._lock:
            self._connection = None

    def strike(self) -> None:
        with self._lock:
            self.struck = True
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's, which would have us speak TLS from this thread.
                    socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


class _Watchman:
    """One thread that looks at all clocks: a timer each would be a new thread for each answer."""

    def __init__(self) -> None:
        self._clocks: set[_Clock] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, clock: _Clock) -> None:
        with self._changed:
            self._clocks.add(clock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if len(self._clocks) == 1:
                self._changed.notify()

    def remove(self, clock: _Clock) -> None:
        with self._changed:
            self._clocks.discard(clock)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._clocks)
                now = time.monotonic()
                due = {clock for clock in self._clocks if clock.due_at <= now}
                self._clocks -= due
            for clock in due:
                clock.strike()
            time.sleep(LOOK)


_of_thread = threading.local()
_watchman = _Watchman()


class _Watched:
    """Mixed into urllib3's connections: the answer is waited for under the thread's clock."""

    sock: socket.socket | None

    def getresponse(self) -> Any:
        clock: _Clock | None = getattr(_of_thread, "clock", None)
        if clock is not None and self.sock is not None:
            clock.watch(self.sock)
        return super().getresponse()  # type: ignore[misc]


class _Http(_Watched, HTTPConnection):
    pass


class _Https(_Watched, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Bounded(HTTPAdapter):
    """Every address is good; answers have a deadline."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        manager: urllib3.PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Guarded(_Bounded, IPFilterAdapter):  # type: ignore[misc]
    """Only addresses of the public Internet."""

    def build_connection_pool_key_attributes(self, *arguments: Any, **named: Any) -> Any:
        host, more = super().build_connection_pool_key_attributes(*arguments, **named)
        if forbidden(ipaddress.ip_address(host["host"].strip("[]"))):
            raise InvalidIPAddress(host["host"])
        return host, more
