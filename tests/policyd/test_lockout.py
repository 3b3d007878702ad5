"""Delays and locks, with a clock of the test's own."""

from __future__ import annotations

from datetime import datetime, timedelta

from franking.accounts.failures import Run
from franking.db import utcnow
from franking.settings import Protection
from policyd.lockout import Lockout

ADDRESS, ACCOUNT, NAME = "address:192.0.2.7", "account:17", "name:abc"
NOW = utcnow()
PROTECTION = Protection(
    window=60, free_failures=2, longest_delay=1, address_failures=6, account_failures=8
)


def at(second: float) -> datetime:
    return NOW + timedelta(seconds=second)


def test_the_delay_grows_to_the_longest() -> None:
    lockout = Lockout(PROTECTION)
    assert not lockout
    delays = [lockout.failed([ADDRESS], at(n)) for n in range(7)]
    assert delays == [0, 0, 0.25, 0.5, 1, 1, 1]
    assert lockout


def test_a_delay_of_zero_is_possible_for_ever() -> None:
    lockout = Lockout(PROTECTION.model_copy(update={"longest_delay": 0}))
    assert {lockout.failed([ADDRESS], NOW) for _ in range(3_000)} == {0}


def test_the_longer_delay_of_address_and_account_counts() -> None:
    lockout = Lockout(PROTECTION)
    for _ in range(4):
        lockout.failed([ACCOUNT], NOW)
    assert lockout.failed([ACCOUNT, ADDRESS], NOW) == 1


def test_success_ends_the_delay_and_not_the_count() -> None:
    lockout = Lockout(PROTECTION)
    for _ in range(5):
        lockout.failed([ADDRESS], NOW)
    lockout.succeeded(ADDRESS, NOW)
    assert not lockout.address_locked(ADDRESS, NOW)
    assert lockout.failed([ADDRESS], NOW) == 0
    assert lockout.address_locked(ADDRESS, NOW)


def test_locks_end_with_the_window() -> None:
    lockout = Lockout(PROTECTION)
    for n in range(8):
        lockout.failed([ADDRESS, ACCOUNT, NAME], at(n))
    for second, locked in ((59.9, True), (60, False)):
        assert lockout.address_locked(ADDRESS, at(second)) is locked
        assert lockout.name_locked(NAME, at(second)) is locked
        assert lockout.locked_accounts(at(second)) == ({17} if locked else set())
    assert lockout.failed([ADDRESS], at(61)) == 0
    assert not lockout.locked_accounts(at(0))


def test_what_the_database_holds_is_added_to_what_it_does_not_hold_yet() -> None:
    lockout = Lockout(PROTECTION)
    lockout.learn({ADDRESS: Run(5, at(-50), at(-40)), ACCOUNT: Run(9, at(-60), at(0))}, NOW)
    assert not lockout.address_locked(ADDRESS, NOW)
    assert not lockout.locked_accounts(NOW), "that run is over"
    lockout.failed([ADDRESS], NOW)
    lockout.learn({ADDRESS: Run(5, at(-50), at(-40))}, NOW)
    assert lockout.address_locked(ADDRESS, NOW)
    assert not lockout.address_locked(ADDRESS, at(10)), "60 s after the first of all nodes"
    lockout.learn({ACCOUNT: Run(8, at(0), at(5))}, at(10))
    assert lockout.locked_accounts(at(10)) == {17}


def test_what_was_not_written_is_offered_again() -> None:
    lockout = Lockout(PROTECTION)
    lockout.failed([ADDRESS], at(0))
    lockout.failed([ADDRESS, NAME], at(1))
    taken = lockout.unwritten()
    assert taken == {ADDRESS: Run(2, at(0), at(1)), NAME: Run(1, at(1), at(1))}
    lockout.failed([ADDRESS], at(2))
    lockout.not_written(taken)
    assert lockout.unwritten() == {ADDRESS: Run(3, at(0), at(2)), NAME: Run(1, at(1), at(1))}
    assert lockout.unwritten() == {}


def test_memory_is_bounded() -> None:
    lockout = Lockout(PROTECTION, most=100)
    for number in range(1_000):
        for _ in range(6):
            lockout.failed([f"address:10.0.{number // 256}.{number % 256}"], NOW)
    assert len(lockout.unwritten()) == 100
    assert lockout.address_locked("address:10.0.3.231", NOW)
    assert not lockout.address_locked("address:10.0.0.0", NOW)
