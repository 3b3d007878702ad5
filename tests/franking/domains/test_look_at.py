"""From the DNS to the database: real questions, to a server of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from franking.accounts.models import Account
from franking.db import Database
from franking.dns.answers import Answer, Lookup
from franking.dns.lookups import Resolvers
from franking.domains import found, life, ownership
from franking.domains.keys import keys_of
from franking.domains.models import Domain
from franking.domains.records import RelayNames
from franking.settings import Settings
from tests import factories
from tests.dns.fakedns import FakeDns
from tests.published import added, asking, publish, zone

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[FakeDns]:
    with FakeDns({}) as server:
        yield server


@pytest.fixture
def own(settings: Settings, server: FakeDns) -> Settings:
    return asking(settings, server)


def state(database: Database, domain_id: int) -> life.State:
    with database.session() as session:
        return life.state(session.get_one(Domain, domain_id))


def test_what_is_copied_from_the_zone_file_is_verified(
    database: Database, own: Settings, server: FakeDns
) -> None:
    lookup = Resolvers(own.dns)
    [domain_id] = added(database, own, "shop.test")
    first = life.look_at(database, own, lookup, domain_id, NOW)
    assert {f.status for f in first if f.record.required} == {"missing"}
    assert state(database, domain_id) == "pending"
    publish(server, database, own, domain_id)
    second = life.look_at(database, own, lookup, domain_id, NOW)
    assert {f.status for f in second} == {"verified"}
    assert state(database, domain_id) == "verified"
    server.faults["."] = "servfail"
    for days in range(20):
        life.look_at(database, own, lookup, domain_id, NOW + timedelta(days=days))
    assert state(database, domain_id) == "verified"


def test_two_accounts_one_zone(database: Database, own: Settings, server: FakeDns) -> None:
    """Whoever's token is in the zone has the domain; with both in it, who has it keeps it."""
    lookup = Resolvers(own.dns)
    [holder] = added(database, own, "shop.test")
    [newcomer] = added(database, own, "shop.test")
    publish(server, database, own, holder)
    for each in (newcomer, holder, newcomer):
        life.look_at(database, own, lookup, each, NOW)
    assert [state(database, each) for each in (holder, newcomer)] == ["verified", "pending"]
    publish(server, database, own, newcomer)
    life.look_at(database, own, lookup, newcomer, NOW)
    assert [state(database, each) for each in (holder, newcomer)] == ["verified", "pending"]
    with database.session() as session:
        assert life.due(session, NOW, 9) == [holder], "to be looked at now"
    for each in (holder, newcomer):
        life.look_at(database, own, lookup, each, NOW)
    assert [state(database, each) for each in (holder, newcomer)] == ["pending", "verified"]


def test_the_key_of_another_account_is_told(
    database: Database, own: Settings, server: FakeDns
) -> None:
    """The record at its own selector has a foreign key."""
    [mine], [theirs] = (added(database, own, "shop.test") for _ in range(2))
    with database.session() as session:
        (mine_,), (theirs_,) = (
            keys_of(session, session.get_one(Domain, each)) for each in (mine, theirs)
        )
    name, text = zone(database, own, theirs)
    server.set_zone(name, text.replace(theirs_.selector, mine_.selector))
    findings = life.look_at(database, own, Resolvers(own.dns), mine, NOW)
    dkim = next(f for f in findings if f.record.purpose == "dkim")
    assert dkim.status == "wrong" and "another account" in dkim.advice


def test_the_policy_that_receivers_see_is_the_stage(
    database: Database, own: Settings, server: FakeDns
) -> None:
    lookup = Resolvers(own.dns)
    [domain_id] = added(database, own, "shop.test")
    name, text = zone(database, own, domain_id)
    seen = []
    for day, policy in enumerate(("none", "none", "reject", "", "quarantine")):
        published = text.replace("p=none", f"p={policy}") if policy else ""
        server.set_zone(name, published)
        now = NOW + timedelta(days=day)
        life.look_at(database, own, lookup, domain_id, now)
        server.faults["."] = "servfail"
        life.look_at(database, own, lookup, domain_id, now)  # nobody's answer is no policy
        server.faults.clear()
        with database.session() as session:
            domain = session.get_one(Domain, domain_id)
            since = domain.dmarc_since and (domain.dmarc_since - NOW).days
            seen.append((domain.dmarc_stage, since))
    assert seen == [
        ("none", 0), ("none", 0), ("reject", 2), ("none", None), ("quarantine", 4),
    ]  # fmt: skip


class Meanwhile(Lookup):
    """While the DNS is asked for the first time, something else happens."""

    def __init__(self, lookup: Lookup, happens: Callable[[], None]) -> None:
        self._lookup = lookup
        self._happens = [happens]

    def authoritative(self, name: str, type: str) -> Answer:
        while self._happens:
            self._happens.pop()()
        return self._lookup.authoritative(name, type)

    def resolved(self, name: str, type: str) -> Sequence[Answer]:
        return self._lookup.resolved(name, type)

    def zone_of(self, name: str) -> str | None:
        return self._lookup.zone_of(name)

    def in_zone(self, zone: str, name: str, type: str) -> Answer:
        return self._lookup.in_zone(zone, name, type)


@pytest.mark.parametrize("again", [False, True])
def test_an_answer_about_what_was_removed_changes_nothing(
    again: bool, database: Database, own: Settings, server: FakeDns
) -> None:
    """Not even when the domain was added again, with another token, while the DNS was asked."""
    [domain_id] = added(database, own, "shop.test")
    publish(server, database, own, domain_id)

    def remove() -> None:
        with database.transaction() as session:
            account = session.get_one(Account, session.get_one(Domain, domain_id).account_id)
            ownership.remove(session, account, "shop.test", NOW)
            if again:
                ownership.add(
                    session, account, "shop.test", master_key=factories.MASTER_KEY, now=NOW
                )

    life.look_at(database, own, Meanwhile(Resolvers(own.dns), remove), domain_id, NOW)
    with database.session() as session:
        domain = session.get_one(Domain, domain_id)
        assert (domain.verified_at, domain.checked_at) == (None, None)
        assert domain.check_due_at == (NOW if again else None)
        shown = found.statuses(session, domain, RelayNames())
        assert {each.status for each in shown} <= {"not_started"}


def test_what_is_gone_is_not_asked_about(
    database: Database, own: Settings, server: FakeDns
) -> None:
    assert life.look_at(database, own, Resolvers(own.dns), 4711, NOW) == []
    assert not server.asked
