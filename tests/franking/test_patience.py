"""An end to waiting for PostgreSQL, before a listener that accepts and then says nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from franking import patience
from franking.db import engine_options, prepare
from franking.patience import PatientConnection, within


@pytest.fixture
def silent() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_inner_deadline_never_extends_the_outer() -> None:
    assert patience._left() == patience.LONGEST_WAIT
    with within(1.0):
        with within(100.0):
            assert patience._left() <= 1.0
        with within(0.5):
            assert patience._left() <= 0.5
        assert 0.5 < patience._left() <= 1.0
    assert patience._left() == patience.LONGEST_WAIT


def test_a_statement_may_be_given_more_time_but_not_more_than_there_is() -> None:
    with patience.at_length(600):
        assert patience._left() == 600
        with within(1.0):
            assert patience._left() <= 1.0
    assert patience._left() == patience.LONGEST_WAIT


def test_without_time_left_it_does_not_connect(silent: int) -> None:
    url = f"postgresql+psycopg://u@127.0.0.1:{silent}/x"
    engine = prepare(create_engine(url, **engine_options(url)))
    started = time.monotonic()
    with within(1.0), pytest.raises(OperationalError, match="no time left"):
        engine.connect()
    assert time.monotonic() - started < 1.0


def test_a_wait_without_an_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(_self: object, _generator: object, _interval: float, timeout: float) -> None:
        waited.append(timeout)

    monkeypatch.setattr("psycopg.Connection.wait", wait)
    connection = PatientConnection.__new__(PatientConnection)
    connection.wait(None)
    with within(0.25):
        connection.wait(None)
        connection.wait(None, timeout=0.1)
    assert waited[0] == patience.LONGEST_WAIT
    assert waited[1] <= 0.25
    assert waited[2] <= 0.1
