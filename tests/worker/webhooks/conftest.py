"""The process that posts, in a thread, and a customer of whom it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from sqlalchemy import select, update

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.mail import models
from franking.sealing import Sealer
from franking.settings import Settings
from franking.webhooks import endpoints, outbox
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Delivery, Endpoint
from tests import factories
from tests.receiver import Receiver, receiver
from worker.webhooks.service import Service

LAB = Webhooks(
    allow_private=True, allow_http=True, ports=(), threads=8, per_endpoint=4, timeout=20, poll=0.02
)
PATIENCE = 60.0  # seconds


class Worker:
    """The service in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._stop = Event()
        self._thread = Thread(target=Service(settings, self._stop).run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def own(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhooks": LAB})


@pytest.fixture
def start(own: Settings) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def begin() -> Worker:
        workers.append(Worker(own))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.stop()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


class Customer:
    """An account, its endpoints, and things that happen to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as session:
            self.account_id = factories.account(session).id
        self._count = 0

    def endpoint(self, url: str, *, batch: int = 1) -> int:
        with self._database.transaction() as session:
            account = session.get_one(Account, self.account_id)
            sealer = Sealer(factories.MASTER_KEY)
            return endpoints.create(
                session, account, url, sealer=sealer, rules=LAB, batch=batch
            ).endpoint.id

    def known_to_fail(self, count: int) -> None:
        """The first so many."""
        with self._database.transaction() as session:
            failing = update(Endpoint).where(Endpoint.id <= count)
            session.execute(failing.values(failing_since=utcnow()))

    def happens(self, times: int = 1) -> None:
        with self._database.transaction() as session:
            for _ in range(times):
                count = self._next()
                outbox.enqueue(
                    session, self.account_id, "balance.low", {"n": count},
                    webhook_id=f"n{count}", now=utcnow(),
                )  # fmt: skip

    def refused(self, times: int = 1) -> None:
        """So many events of mail."""
        with self._database.transaction() as session:
            session.add_all(
                models.Event(
                    account_id=self.account_id, node="n1", kind="rejected", at=utcnow(),
                    recipient=f"r{self._next()}@example.org", reply="no", detail={},
                )
                for _ in range(times)
            )  # fmt: skip

    def _next(self) -> int:
        self._count += 1
        return self._count

    def states(self) -> Counter[str]:
        with self._database.session() as session:
            return Counter(outbox.state_of(row) for row in session.scalars(select(Delivery)))

    def until(self, **states: int) -> None:
        deadline = monotonic() + PATIENCE
        while (found := self.states()) != Counter(states):
            assert monotonic() < deadline, found
            sleep(0.02)


@pytest.fixture
def customer(database: Database) -> Customer:
    return Customer(database)
