"""Between the logins, the memory of failures and the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from sqlalchemy import event, select

from franking.accounts import failures, uses
from franking.accounts.models import AuthFailure
from franking.db import Database, utcnow
from franking.mail.models import Event
from franking.settings import Protection
from policyd import guard as module
from policyd import lockout
from policyd.authenticate import Accepted, Denied, authenticate
from policyd.dovecot import Login
from policyd.guard import Guard, Throttled
from policyd.journal import Journal
from policyd.pool import Pool

LIMITS = Protection(free_failures=2, longest_delay=8, address_failures=4, account_failures=3)
IP = "192.0.2.7"


def login(username: str, secret: str = "wrong", ip: str | None = IP, number: int = 1) -> Login:
    return Login(number, "PLAIN", username, secret, ip, True, "submission")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is exchanged but at the start and at `close`, which may be said more than once."""
    monkeypatch.setattr(module, "EXCHANGE", 600)


@pytest_asyncio.fixture
async def guard(database: Database, journal: Journal) -> AsyncIterator[Guard]:
    pool = Pool(2, 3.0)
    guard = Guard(database, LIMITS, pool, journal)
    await guard.start()
    yield guard
    await guard.close()
    pool.close()


async def fail(guard: Guard, database: Database, attempt: Login, times: int = 1) -> None:
    outcome = authenticate(database, attempt, utcnow())
    assert isinstance(outcome, Denied)
    for _ in range(times):
        await guard.admit(attempt)
        await guard.denied(attempt, outcome)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


async def test_a_login_asks_the_database_nothing_more_unless_an_account_is_locked(
    guard: Guard, database: Database, people: dict[str, str]
) -> None:
    good = login(people["user"], people["secret"])
    with statements(database) as seen:
        await guard.admit(good)
        guard.accepted(good)
    assert seen == []
    await fail(guard, database, login(people["poor"]), 2)
    with statements(database) as seen:
        await guard.admit(good)
        guard.accepted(good)
    assert seen == []
    await fail(guard, database, login(people["poor"]))
    with statements(database) as seen:
        await guard.admit(good)
    assert len([text for text in seen if text.startswith("SELECT")]) == 1


async def test_a_locked_account_is_closed_to_strangers_and_shows_it(
    guard: Guard, database: Database, journal: Journal, people: dict[str, str]
) -> None:
    guard.release()  # no delays
    for number in range(LIMITS.account_failures):
        await fail(guard, database, login(people["poor"], ip=f"192.0.2.{number}"))
    with pytest.raises(Throttled):
        await guard.admit(login(people["poor"], people["poor_secret"], "192.0.2.99"))
    await guard.admit(login(people["user"], people["secret"], "192.0.2.99"))
    await guard.close()
    journal.close()
    with database.session() as session:
        (shown,) = session.scalars(select(Event).where(Event.kind == "rejected"))
        counted = {row.subject: row.failures for row in session.scalars(select(AuthFailure))}
    assert (shown.smtp_code, shown.detail["reply_key"]) == (454, "login_throttled")
    assert shown.detail["client_ip"] == "192.0.2.99"
    assert counted == {
        **{f"address:192.0.2.{number}": 1 for number in range(LIMITS.account_failures)},
        failures.account_subject(shown.account_id): LIMITS.account_failures,
    }


async def test_who_has_proved_a_secret_is_not_guessing(
    guard: Guard, database: Database, people: dict[str, str]
) -> None:
    await fail(guard, database, login(people["revoked"], people["revoked_secret"]), 20)


async def test_clients_without_an_address_do_not_lock_out_each_other(
    guard: Guard, database: Database, people: dict[str, str]
) -> None:
    guard.release()
    for number in range(20):
        await fail(guard, database, login(f"frank_{number}", ip=None))
    await guard.admit(login(people["user"], people["secret"], ip=None))


async def test_so_many_answers_wait_and_the_others_do_not(
    guard: Guard, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DELAYED", 2)
    monkeypatch.setattr(lockout, "FIRST_DELAY", LIMITS.longest_delay)
    await fail(guard, database, login("nobody"), 2)
    attempt = login("another")
    waiting = [asyncio.create_task(fail(guard, database, attempt)) for _ in range(2)]
    await asyncio.sleep(0)  # they begin
    async with asyncio.timeout(LIMITS.longest_delay / 2):
        await fail(guard, database, login("third", ip="192.0.2.8"), 3)
        assert not any(task.done() for task in waiting)
        guard.release()
        await asyncio.gather(*waiting)


async def test_a_database_that_is_away_loses_no_count(
    guard: Guard, database: Database, people: dict[str, str]
) -> None:
    guard.release()
    with database.transaction() as session:
        session.connection().exec_driver_sql("ALTER TABLE auth_failure RENAME TO away")
    await fail(guard, database, login(people["user"]), 2)
    await guard.close()
    with database.transaction() as session:
        session.connection().exec_driver_sql("ALTER TABLE away RENAME TO auth_failure")
    await guard.close()
    with database.session() as session:
        assert {row.failures for row in session.scalars(select(AuthFailure))} == {2}


async def test_nodes_learn_from_each_other(
    guard: Guard, database: Database, journal: Journal, people: dict[str, str]
) -> None:
    guard.release()
    for number in range(LIMITS.address_failures):
        await fail(guard, database, login(f"frank_{number}"))
    await guard.close()
    pool = Pool(2, 3.0)
    other = Guard(database, LIMITS, pool, journal)
    await other.start()
    with pytest.raises(Throttled):
        await other.admit(login(people["user"], people["secret"]))
    await other.close()
    pool.close()


async def test_a_locked_address_stays_open_to_who_was_there_before(
    guard: Guard, database: Database, people: dict[str, str]
) -> None:
    """Behind one address may be many customers, one of them with an old key."""
    guard.release()
    good = login(people["user"], people["secret"])
    outcome = authenticate(database, good, utcnow())
    assert isinstance(outcome, Accepted)
    use = outcome.use
    with database.transaction() as session:
        uses.logged_in(
            session,
            use.credential_id,
            secret_hint=use.secret_hint,
            client_ip=IP,
            listener=use.listener,
            at=utcnow(),
        )
    for number in range(LIMITS.address_failures):
        await fail(guard, database, login(f"frank_{number}"))
    await guard.admit(good)
    with pytest.raises(Throttled):
        await guard.admit(login(people["poor"], people["poor_secret"]))
