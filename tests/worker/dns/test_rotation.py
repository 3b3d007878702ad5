"""`franking-worker dns`, the rotation of keys: one node's duty, each domain for itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from franking import log
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.dns.lookups import Resolvers
from franking.domains import ownership
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain
from franking.settings import Settings
from tests.dns.fakedns import FakeDns
from tests.published import added, asking, publish
from worker.dns.rotation import Rotation

NOW = utcnow() + timedelta(hours=1)  # domains that are added now are due by then
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def server() -> Iterator[FakeDns]:
    with FakeDns({}) as server:
        yield server


@pytest.fixture
def own(settings: Settings, server: FakeDns) -> Settings:
    dkim = Dkim(zone="keys.relay.test", rotate_months=3)
    return asking(settings.model_copy(update={"dkim": dkim}), server)


@pytest.fixture
def domains(database: Database, own: Settings) -> list[int]:
    """Verified ones of three accounts, whose keys are due."""
    ids = [each for number in range(3) for each in added(database, own, f"shop{number}.test")]
    with database.transaction() as session:
        for each in ids:
            ownership.mark_verified(session, session.get_one(Domain, each), by="assumed")
        session.execute(update(DkimKey).values(activated_at=NOW - 100 * DAY))
    return ids


def node(database: Database, own: Settings, name: str = "n1") -> Rotation:
    return Rotation(database, own.model_copy(update={"node": name}), Resolvers(own.dns))


def states(database: Database, domain_id: int) -> list[str]:
    with database.session() as session:
        query = select(DkimKey.state).where(DkimKey.domain_id == domain_id)
        return list(session.scalars(query.order_by(DkimKey.id)))


def test_from_due_to_signing(
    database: Database, own: Settings, server: FakeDns, domains: list[int]
) -> None:
    duty = node(database, own)
    assert duty.look(NOW) == 3
    assert [states(database, each) for each in domains] == [["active", "pending"]] * 3
    publish(server, database, own, *domains)
    assert duty.look(NOW + 2 * MINUTE) == 3
    assert [states(database, each) for each in domains] == [["active", "pending"]] * 3
    assert duty.look(NOW + 8 * MINUTE) == 3
    assert [states(database, each) for each in domains] == [["retiring", "active"]] * 3
    assert duty.look(NOW + 9 * MINUTE) == 0, "nothing is due"


def test_one_node_does_it(database: Database, own: Settings, domains: list[int]) -> None:
    assert node(database, own, "n1").look(NOW) == 3
    assert node(database, own, "n2").look(NOW) is None
    assert node(database, own, "n2").look(NOW + MINUTE) == 3


def test_a_domain_that_fails_does_not_stop_the_others(
    database: Database, own: Settings, server: FakeDns, domains: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The terms of the last one's plan cannot be read, so nobody knows how long mail may wait."""
    told: list[str] = []
    monkeypatch.setattr(log, "unexpected", lambda where, _error: told.append(where))
    duty = node(database, own)
    duty.look(NOW)
    publish(server, database, own, *domains)
    duty.look(NOW + 2 * MINUTE)
    with database.transaction() as session:
        owner = session.get_one(Domain, domains[0]).account_id
        plan = session.get_one(Account, owner).plan
        terms, plan.terms = plan.terms, "?"
    duty.look(NOW + 8 * MINUTE)
    assert told == [f"keys of domain {domains[0]}"]
    active = [states(database, each)[-1] for each in domains]
    assert active == ["pending", "active", "active"]
    with database.transaction() as session:
        session.get_one(Account, owner).plan.terms = terms
    assert duty.look(NOW + 20 * MINUTE) == 0
    assert duty.look(NOW + 70 * MINUTE) == 1
    assert states(database, domains[0]) == ["retiring", "active"]


def test_who_does_not_answer_changes_nothing(
    database: Database, own: Settings, server: FakeDns, domains: list[int]
) -> None:
    duty = node(database, own)
    duty.look(NOW)
    publish(server, database, own, *domains)
    duty.look(NOW + 2 * MINUTE)
    server.faults = {"shop1.test": "servfail"}
    duty.look(NOW + 8 * MINUTE)
    assert [states(database, each)[-1] for each in domains] == ["active", "pending", "active"]
    server.faults = {}
    duty.look(NOW + 10 * MINUTE)
    assert states(database, domains[1]) == ["retiring", "active"]
