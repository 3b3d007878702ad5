"""A small Internet: zones, a server for them, a resolver, and a `Resolvers` that knows only these.

The same in two kinds: our own server, that also makes mistakes, and Knot behind Unbound, which say
what is true.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from tests.dns.fakedns import FakeDns
from tests.dns.knot import Knot
from tests.dns.unbound import Unbound


class Server(Protocol):
    port: int

    def set_zone(self, name: str, text: str) -> None: ...


@dataclass(frozen=True)
class World:
    lookup: Resolvers
    server: Server
    resolver: str


def lookups(*resolvers: object, port: int, timeout: float = 2.0) -> Resolvers:
    """`port`: of all authoritative servers."""
    own = Dns(resolvers=tuple(map(str, resolvers)), authoritative_port=port, timeout=timeout)
    return Resolvers(own)


@contextlib.contextmanager
def fake(zones: Mapping[str, str], timeout: float = 2.0, **more: Any) -> Iterator[World]:
    with FakeDns(zones, **more) as server:
        yield World(lookups(server, port=server.port, timeout=timeout), server, str(server))


@contextlib.contextmanager
def true(zones: Mapping[str, str]) -> Iterator[World]:
    with Knot(zones) as knot, Unbound(knot.port) as unbound:
        yield World(lookups(unbound, port=knot.port, timeout=5.0), knot, str(unbound))
