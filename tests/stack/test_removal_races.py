"""A domain is removed, or its account closed, while somebody else is changing it: two engines."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from meanwhile import KEY, NOW, OWN, Act, Shop, at_once, meanwhile, waits
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from franking.accounts import credentials
from franking.accounts.credential_options import Options
from franking.accounts.models import Credential
from franking.accounts.rules import Narrowing
from franking.db import Database
from franking.domains import hosts, life, ownership, relayzone, removal
from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.domains.rotation import steps
from franking.mail.models import Message
from franking.reasons import NotFound, Taken
from franking.settings import Settings
from tests import factories
from tests.looks import look

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]  # it has both


@pytest.fixture
def shop(two: list[Database]) -> Shop:
    return Shop(two[0])


def removals(shop: Shop) -> dict[str, Act]:
    return {
        "remove": shop.remove,
        "close": shop.close,
        "read before": lambda session: removal.remove(session, shop.domain(session), NOW),
    }


@pytest.mark.parametrize("way", ["remove", "close", "read before"])
def test_verified_while_it_is_removed(two: list[Database], shop: Shop, way: str) -> None:
    """The name is free: for others, and it is not verified when it comes back."""
    at_once(two, shop.verify, removals(shop)[way])
    with two[0].transaction() as session:
        gone = shop.domain(session)
        assert (gone.removed_at, gone.verified_at, gone.verified_by) == (NOW, None, None)
        other = ownership.add(session, factories.account(session), shop.name, master_key=KEY)
        look(session, other, NOW)
        assert other.verified_at == NOW


@pytest.mark.parametrize("way", ["remove", "close", "read before"])
def test_a_key_made_while_it_is_removed(two: list[Database], shop: Shop, way: str) -> None:
    with two[0].transaction() as session:
        shop.verify(session)
        token = shop.domain(session).dkim_token

    def rotate(session: Session) -> None:
        made = steps.begin(session, shop.domain(session), NOW, own=OWN, master_key=KEY)
        assert [key.state for key in made] == ["pending"]

    at_once(two, rotate, removals(shop)[way])
    with two[0].session() as session:
        assert not session.scalars(select(DkimKey).filter_by(domain_id=shop.domain_id)).all()
        left = select(ZoneEntry).where(ZoneEntry.name.contains(f".{token}."))
        assert not session.scalars(left).all()


def test_a_host_that_was_seen_while_another_was_chosen(two: list[Database], shop: Shop) -> None:
    def seen(session: Session) -> None:
        shop.verify(session)
        shop.domain(session).return_path_at = NOW

    def choose(session: Session) -> None:
        hosts.name_hosts(
            session, shop.account(session), shop.name, return_path="mail", tracking=None, now=NOW
        )

    at_once(two, seen, choose)
    with two[0].session() as session:
        domain = shop.domain(session)
        assert (domain.return_path_host, domain.return_path_at) == ("mail", None)


def changes(shop: Shop) -> dict[str, Act]:
    """By who has looked it up a moment before."""

    def own(session: Session) -> Domain:
        return ownership.get(session, shop.account(session), shop.name)

    return {
        "assume": lambda s: ownership.mark_verified(s, own(s), by="assumed"),
        "subdomains": lambda s: ownership.allow_subdomains(
            s, shop.account(s), shop.name, allow=True
        ),
        "hosts": lambda s: hosts.name_hosts(
            s, shop.account(s), shop.name, return_path="mail", tracking=None, now=NOW
        ),
        "method": lambda s: steps.switch_method(s, own(s), "txt", NOW, own=OWN, master_key=KEY),
    }


@pytest.mark.parametrize("change", ["assume", "subdomains", "hosts", "method"])
def test_too_late_for_changes(two: list[Database], shop: Shop, change: str) -> None:
    with pytest.raises(NotFound):
        at_once(two, shop.remove, changes(shop)[change])
    with two[0].session() as session:
        gone = shop.domain(session)
        assert (gone.verified_at, gone.allow_subdomains) == (None, False)
        assert not ownership.keys_of(session, gone)


def test_it_comes_back_once(two: list[Database], shop: Shop) -> None:
    with two[0].transaction() as session:
        shop.remove(session)
    with pytest.raises(Taken):
        at_once(two, shop.add, shop.add)


# --- mail that is being accepted -----------------------------------------------------------------


def sending(two: list[Database], shop: Shop) -> str:
    """A user name with a limit of what it may spend a day."""
    with two[0].transaction() as session:
        shop.verify(session)
        capped = Options(rules=Narrowing(daily_spend=1_000_000))
        made = credentials.create(
            session, shop.account(session), "c", prefix=factories.PREFIX, options=capped
        )
        return made.credential.username


def test_closed_while_mail_is_accepted(two: list[Database], shop: Shop) -> None:
    """The message has its domain's key, and will write what its credential has spent."""
    username, closing = sending(two, shop), list[Future[None]]()

    def close() -> None:
        with two[1].transaction() as session:
            shop.close(session)

    with ThreadPoolExecutor(1) as pool:

        def stored(*execution: object) -> None:
            if str(execution[2]).startswith("INSERT INTO message ("):
                closing.append(pool.submit(close))
                waits(two[0], closing[0])

        event.listen(two[0].engine, "after_cursor_execute", stored)
        try:
            with two[0].transaction() as session:
                factories.message(session, username, shop.domain_id, f"Q{shop.domain_id}", NOW)
        finally:
            event.remove(two[0].engine, "after_cursor_execute", stored)
        closing[0].result()
    with two[0].session() as session:
        assert session.scalars(select(Message).filter_by(account_id=shop.account_id)).one()
        credential = session.scalars(select(Credential).filter_by(username=username)).one()
        assert (credential.spent, credential.revoked_at) == (factories.PRICE, NOW)
        assert shop.account(session).status == "closed"
        assert shop.domain(session).removed_at == NOW


@pytest.mark.parametrize("act", ["claim", "record", "rotate", "remove", "close"])
def test_nobody_waits_for_mail(two: list[Database], shop: Shop, act: str) -> None:
    """Nor is a domain passed over for which there is always some; SQLite lets one write."""
    username = sending(two, shop)
    with two[0].transaction() as session:
        shop.domain(session).check_due_at = NOW
    claimed: list[int] = []
    jobs: dict[str, Act] = {
        "claim": lambda session: claimed.extend(life.claim(session, NOW, 100)),
        "rotate": lambda s: steps.begin(s, shop.domain(s), NOW, own=OWN, master_key=KEY),
        "remove": shop.remove,
        "close": shop.close,
    }

    def accept(session: Session) -> None:
        factories.message(session, username, shop.domain_id, f"Q{shop.domain_id}", NOW)

    def record() -> None:
        life.record(two[1], Settings(), life.Examined(shop.domain_id, [], []), NOW)

    if act == "record":
        waited = meanwhile(two, accept, record)
    else:
        first = accept if act in {"claim", "rotate"} else held(shop)
        waited = at_once(two, first, jobs[act])
    assert waited == (two[0].engine.dialect.name == "sqlite")
    assert act != "claim" or shop.domain_id in claimed


def held(shop: Shop) -> Act:
    """Nothing but its domain, as a foreign key does."""
    key = select(Domain.id).where(Domain.id == shop.domain_id)
    return lambda session: session.execute(key.with_for_update(read=True, key_share=True))


def test_rows_of_the_zone_are_taken_by_name(two: list[Database], shop: Shop) -> None:
    """As the zone's server is told: many rows of many customers, by name."""
    names = ["frank1.zz.relay.example", "frank2.aa.relay.example", "frank1.aa.relay.example"]
    with two[0].transaction() as session:
        first = shop.domain(session)
        second = ownership.add(session, shop.account(session), "second.example", master_key=KEY)
        first.dkim_token, second.dkim_token = "zz", "aa"
        for name in names:
            relayzone.put(session, name, "key").published = "key"

    def told(name: str) -> Act:
        return lambda session: setattr(session.get_one(ZoneEntry, name), "published_at", NOW)

    def the_others(session: Session) -> None:
        for name in sorted(names)[1:]:
            told(name)(session)
            session.flush()

    at_once(two, told(min(names)), shop.close, the_others)
    with two[0].transaction() as session:
        rows = [session.get_one(ZoneEntry, name) for name in names]
        assert [row.value for row in rows] == [None] * 3
        for row in rows:
            session.delete(row)
