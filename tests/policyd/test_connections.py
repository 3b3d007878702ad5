"""Sessions, known only from what is asked about them."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from policyd.connections import IDLE, Connections, established_clients
from policyd.delegation import Request


class World:
    """Who is connected, and what time it is."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.open: set[tuple[str, str]] = set()
        self.connections = Connections(lambda: self.now, lambda: set(self.open))

    def question(self, process: int, port: int, transaction: int = 1, **more: str) -> Request:
        self.open.add(("192.0.2.1", str(port)))
        return replace(
            Request(
                instance=f"{process:x}.6a.{port:x}.{transaction:x}",
                client_address="192.0.2.1",
                client_port=str(port),
                sasl_username="frank_a",
                policy_context="submission",
            ),
            **more,
        )

    def admitted(self, process: int, port: int, most: int = 2, **more: str) -> bool:
        connection = self.connections.asked(self.question(process, port, 1, **more))
        return self.connections.admits(connection, most)


@pytest.fixture
def world() -> World:
    return World()


def test_transactions_are_counted_once_each(world: World) -> None:
    asked = world.connections.asked
    numbers = [asked(world.question(7, 1000, n)).number for n in (1, 1, 2, 2, 2, 3)]
    assert numbers == [1, 1, 2, 2, 2, 3]


def test_another_client_of_the_same_process_is_another_session(world: World) -> None:
    assert world.connections.asked(world.question(7, 1000, 5)).number == 1
    assert world.connections.asked(world.question(7, 1001, 6)).number == 1


def test_the_first_ones_stay_admitted(world: World) -> None:
    assert [world.admitted(p, 1000 + p) for p in (1, 2, 3)] == [True, True, False]
    assert [world.admitted(p, 1000 + p) for p in (1, 2, 3)] == [True, True, False]


def test_user_names_are_counted_apart(world: World) -> None:
    assert [world.admitted(p, 1000 + p) for p in (1, 2)] == [True, True]
    assert world.admitted(3, 1003, sasl_username="frank_b")


def test_a_client_that_left_makes_room_at_once(world: World) -> None:
    assert [world.admitted(p, 1000 + p) for p in (1, 2, 3)] == [True, True, False]
    world.open.discard(("192.0.2.1", "1001"))
    assert world.admitted(3, 1003)
    assert not world.admitted(4, 1004)


def test_a_process_that_ended_or_serves_another_makes_room(world: World) -> None:
    assert [world.admitted(p, 1000 + p) for p in (1, 2)] == [True, True]
    world.connections.process_ended("1")
    assert world.admitted(3, 1003)
    assert world.admitted(2, 2002), "instead of its last client"


def test_behind_a_proxy_only_silence_tells(world: World) -> None:
    """The clients' own connections end at the proxy."""
    assert [world.admitted(p, 1000 + p) for p in (1, 2)] == [True, True]
    world.now += IDLE - 1
    world.connections.asked(world.question(2, 1002, 2))
    question = world.question(3, 1003)
    world.open.clear()
    asking = world.connections.asked(question)
    assert not world.connections.admits(asking, 2)
    world.now += 2
    assert world.connections.admits(asking, 2), "1 has been silent for too long, 2 has not"


def test_recipients_of_a_transaction(world: World) -> None:
    takes, connection = world.connections.takes, world.connections.asked(world.question(1, 1000))
    assert [takes(connection, r, 2) for r in ("a", "b", "a", "c", "b")] == [
        True, True, True, False, True,
    ]  # fmt: skip
    world.connections.asked(world.question(1, 1000, 2))
    assert takes(connection, "c", 2), "a new transaction"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_kernels_table_is_read_right(family: socket.AddressFamily) -> None:
    host = "127.0.0.1" if family is socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        address, port = client.getsockname()[:2]
        assert (address, str(port)) in established_clients()
        client.close()
        assert (address, str(port)) not in established_clients()
