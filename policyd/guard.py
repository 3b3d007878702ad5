"""Keeps guessing from being worth the while, and from costing others anything.

Before a login: may it be looked at?  If not, nothing is answered, and Postfix says 454.  After a
failed one: it is counted and logged, and the answer waits.  A waiting answer keeps an smtpd
process, of which there are so many; when enough wait already, it is given at once.

A login costs a look at `policyd.lockout`'s memory, and one more question to the database only
while some account is locked.  Once a second, in one transaction, what was counted here is written
and what other nodes counted is read; so a restarted node knows what it knew.  Counts are kept out
of the journal's queue: ten thousand of them would push refusals and last uses out of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.accounts import failures
from franking.accounts.failures import Run
from franking.db import Database, utcnow
from franking.mail import replies
from franking.settings import Protection
from policyd.authenticate import LONGEST_LISTENER, Denied, Unavailable, client_address
from policyd.dovecot import Login
from policyd.journal import Journal, Refusal
from policyd.lockout import Lockout
from policyd.memory import Recent
from policyd.pool import Pool

MOST_DELAYED = 200  # answers at the same time; a port has 500 smtpd processes (master.cf)
EXCHANGE = 1.0  # seconds between two exchanges with the database
OVERLAP = timedelta(seconds=10)  # nodes' clocks differ, and transactions end late
MOST_SHOWN = 100  # throttled logins per exchange whose owner is looked up
TELL = 60.0  # seconds between two lines about the same subject


class Throttled(Exception):
    """No answer: the connection is to be closed."""


@dataclass(frozen=True)
class _Attempt:
    """A login that was not looked at."""

    username: str
    client_ip: str | None
    listener: str


class Guard:
    def __init__(
        self, database: Database, protection: Protection, pool: Pool, journal: Journal
    ) -> None:
        self._database = database
        self._pool = pool
        self._journal = journal
        self._lockout = Lockout(protection)
        self._longest_delay = protection.longest_delay
        self._told = Recent(size=10_000, seconds=TELL, clock=time.monotonic)
        self._attempts: dict[_Attempt, datetime] = {}
        self._delayed = 0
        self._stopping = asyncio.Event()
        self._read_until: datetime | None = None
        self._exchanges: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it is known what the database knows, or that it does not answer."""
        await self._exchange()
        self._exchanges = asyncio.create_task(self._exchange_regularly())

    async def admit(self, login: Login) -> None:
        """Raises Throttled, or Unavailable."""
        if not self._lockout:
            return
        now = utcnow()
        address = failures.address_subject(login.client_ip)
        name = failures.name_subject(login.username)
        if address is not None and self._lockout.address_locked(address, now):
            _, known = await self._pool.run(self._client, login)
            if not known:  # others may share the address: each guess is at 160 bits
                await self._throttle(login, address, now)
        if self._lockout.name_locked(name, now):
            await self._throttle(login, name, now)
        if locked := self._lockout.locked_accounts(now):
            account_id, known = await self._pool.run(self._client, login, locked)
            if account_id is not None and not known:
                await self._throttle(login, failures.account_subject(account_id), now)

    def accepted(self, login: Login) -> None:
        address = failures.address_subject(login.client_ip) if self._lockout else None
        if address is not None:
            self._lockout.succeeded(address, utcnow())

    async def denied(self, login: Login, outcome: Denied) -> None:
        """Returns when the answer may be given.  Who has proved the secret is not guessing."""
        if outcome.proved:
            return
        log.login_failed(client_address(login), outcome.username, login.listener)
        subjects = [
            failures.name_subject(login.username)
            if outcome.refusal is None
            else failures.account_subject(outcome.refusal.account_id)
        ]
        if (address := failures.address_subject(login.client_ip)) is not None:
            subjects.append(address)
        seconds = self._lockout.failed(subjects, utcnow())
        await self._delay(seconds)

    def release(self) -> None:
        """No answer waits any longer."""
        self._stopping.set()

    async def close(self) -> None:
        """Writes what is left."""
        self.release()
        if self._exchanges is not None:
            await self._exchanges
        await self._exchange()

    async def _throttle(self, login: Login, subject: str, now: datetime) -> None:
        client_ip = client_address(login)
        if self._told.first(subject):
            log.login_throttled(client_ip, subject)
        if len(self._attempts) < MOST_SHOWN:
            attempt = _Attempt(login.username, client_ip, login.listener[:LONGEST_LISTENER])
            self._attempts[attempt] = now
        # Or else whoever is locked out would ask on as fast as the machine can refuse.
        await self._delay(self._longest_delay)
        raise Throttled(subject)

    def _client(self, login: Login, among: Container[int] | None = None) -> tuple[int | None, bool]:
        """The account that this login is for, and whether its client has been there before.

        With `among`, other accounts than these are none.
        """
        try:
            with self._database.session() as session:
                owner = failures.owners(session, [login.username]).get(login.username)
                if owner is None or (among is not None and owner.account_id not in among):
                    return None, False
                known = failures.known_client(session, owner.account_id, login.client_ip)
                return owner.account_id, known
        except SQLAlchemyError as error:
            raise Unavailable("failed logins") from error

    async def _delay(self, seconds: float) -> None:
        if not seconds or self._delayed >= MOST_DELAYED:
            return
        self._delayed += 1
        try:
            await self._pause(seconds)
        finally:
            self._delayed -= 1

    async def _pause(self, seconds: float) -> None:
        """Less, when policyd stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _exchange_regularly(self) -> None:
        while not self._stopping.is_set():
            await self._pause(EXCHANGE)
            if not self._stopping.is_set():
                await self._exchange()

    async def _exchange(self) -> None:
        counted, now = self._lockout.unwritten(), utcnow()
        attempts, self._attempts = self._attempts, {}
        try:  # not in the pool: its time limit would leave open whether this was written
            runs, refusals = await asyncio.to_thread(self._write_and_read, counted, attempts, now)
        except Exception as error:
            self._lockout.not_written(counted)
            if isinstance(error, SQLAlchemyError):
                log.database_trouble("failed logins", error)
            else:  # a bug must not end the task
                log.unexpected("failed logins", error)
            return
        self._read_until = now
        self._lockout.learn(runs, now)
        for refusal in refusals:
            self._journal.refused(refusal)

    def _write_and_read(
        self,
        counted: Mapping[str, Run],
        attempts: Mapping[_Attempt, datetime],
        now: datetime,
    ) -> tuple[dict[str, Run], list[Refusal]]:
        forgotten = now - self._lockout.window
        if counted:
            with self._database.transaction() as session:
                failures.add(session, counted, self._lockout.window)
        since = forgotten if self._read_until is None else self._read_until - OVERLAP
        with self._database.session() as session:
            owners = failures.owners(session, {a.username for a in attempts}) if attempts else {}
            runs = failures.since(session, max(since, forgotten))
        return runs, [
            _refusal(attempt, owners[attempt.username], at)
            for attempt, at in attempts.items()
            if attempt.username in owners
        ]


def _refusal(attempt: _Attempt, owner: failures.Owner, at: datetime) -> Refusal:
    detail = {"stage": "AUTH", "client_ip": attempt.client_ip, "listener": attempt.listener}
    return Refusal(
        owner.account_id,
        owner.credential_id,
        replies.login_throttled(),
        at,
        detail={name: value for name, value in detail.items() if value},
    )
