"""An account with a domain, and two processes that change it at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import text
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.accounts.models import Account
from franking.db import Database
from franking.domains import locks, ownership
from franking.domains.config import Dkim
from franking.domains.models import Domain
from tests import factories
from tests.looks import look

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
OWN = Dkim(zone="dkim.relay.example")
KEY = factories.MASTER_KEY
Act = Callable[[Session], object]

_numbers = count(1)


class Shop:
    """An account with one domain, whose keys are behind CNAMEs."""

    def __init__(self, database: Database) -> None:
        with database.transaction() as session:
            account = factories.funded(session)
            self.account_id = account.id
            self.name = f"shop{next(_numbers)}.example"
            self.domain_id = self.add(session).id

    def account(self, session: Session) -> Account:
        return session.get_one(Account, self.account_id)

    def add(self, session: Session) -> Domain:
        return ownership.add(
            session, self.account(session), self.name, master_key=KEY, now=NOW, dkim=OWN,
            method="cname",
        )  # fmt: skip

    def domain(self, session: Session) -> Domain:
        return session.get_one(Domain, self.domain_id)

    def verify(self, session: Session) -> None:
        """As `life.record` does."""
        domain = self.domain(session)
        locks.lock(session, domain)
        look(session, domain, NOW)
        assert domain.verified_at is not None

    def remove(self, session: Session) -> None:
        ownership.remove(session, self.account(session), self.name, NOW)

    def close(self, session: Session) -> None:
        accounts.close(session, self.account(session), NOW)


def waits(database: Database, later: Future[None]) -> bool:
    """Until somebody waits for a lock, or is done; on SQLite all do, before they begin."""
    while not later.done():
        if database.engine.dialect.name == "sqlite":
            return True
        with database.session() as session:
            if session.scalar(text("SELECT 1 FROM pg_locks WHERE NOT granted LIMIT 1")):
                return True
        wait([later], 0.01)
    return False


def at_once(two: list[Database], first: Act, second: Act, then: Act | None = None) -> bool:
    """`second` is in another process, and goes as far as it can, before `first` goes on (`then`)
    and commits.  Returns whether it had to wait; raises what it raises."""

    def other() -> None:
        with two[1].transaction() as session:
            second(session)

    return meanwhile(two, first, other, then)


def meanwhile(
    two: list[Database], first: Act, job: Callable[[], None], then: Act | None = None
) -> bool:
    """The same for what opens its own transactions."""
    with ThreadPoolExecutor(1) as pool:
        with two[0].transaction() as session:
            first(session)
            session.flush()
            later = pool.submit(job)
            waited = waits(two[0], later)
            if then:
                then(session)
        later.result()
    return waited
