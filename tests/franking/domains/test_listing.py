"""A page of domains costs as many queries as one domain."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import event

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.domains import found, listing, ownership
from franking.domains.dmarc.stages import READY
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.domains.records import RelayNames
from franking.notices import notices
from tests import factories

RELAY = RelayNames(spf="include:spf.relay.example")
NOW = utcnow()


def _domain(owner: Account, name: str, since: datetime | None = None) -> Domain:
    return Domain(
        account_id=owner.id, name=name, ownership_token=f"token-{name}", dmarc_since=since
    )


def test_it_says_what_is_said_of_each_alone(database: Database) -> None:
    with database.transaction() as session:
        owner, other = factories.account(session), factories.account(session)
        for name in ("a.example", "b.example", "c.example"):
            domain = factories.verified_domain(session, owner, name)
            row = DnsCheck(
                domain_id=domain.id, purpose="ownership", name=f"_franking.{name}",
                status="wrong", fault="token_foreign", found=["x"], advice="change it",
            )  # fmt: skip
            session.add(row)
        factories.verified_domain(session, other, "d.example")
        ownership.remove(session, owner, "b.example", NOW)
        session.flush()
        page = listing.page(session, owner, RELAY, limit=10)
        assert [each.domain.name for each in page] == ["a.example", "c.example"]
        for each in page:
            assert each.records == found.statuses(session, each.domain, RELAY)
            assert each.keys == ownership.keys_of(session, each.domain)
            assert each.records[0].advice == "change it"


def test_pages_follow_each_other_and_cost_the_same(database: Database) -> None:
    with database.transaction() as session:
        owner = factories.account(session)
        for number in range(30):
            domain = _domain(owner, f"d{number:02d}.example")
            session.add(domain)
            session.flush()
            session.add(
                DkimKey(
                    domain_id=domain.id, selector="s1", algorithm="rsa-sha256", public_key="AA==",
                    sealed_private_key=b"",
                )
            )  # fmt: skip
        owner_id = owner.id
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *_: asked.append(""))
    counts = []
    for limit in (3, 30):
        with database.session() as session:
            account = session.get_one(Account, owner_id)
            before = len(asked)
            assert len(listing.page(session, account, RELAY, limit=limit)) == limit
            counts.append(len(asked) - before)
    assert counts == [4, 4]
    with database.session() as session:
        account = session.get_one(Account, owner_id)
        rest = listing.page(session, account, RELAY, after="d27.example", limit=5)
        assert [each.domain.name for each in rest] == ["d28.example", "d29.example"]


def test_a_stricter_policy_is_next_as_long_as_the_present_one_holds(database: Database) -> None:
    with database.transaction() as session:
        owner = factories.account(session)
        session.add_all(
            _domain(owner, f"{name}.example", NOW - timedelta(days=5))
            for name in ("told", "before", "other")
        )
        session.add(_domain(owner, "none.example"))
        session.flush()
        for name, policy, days in (
            ("told", "quarantine", 1), ("before", "quarantine", 9),
            ("other", "reject", 1), ("none", "quarantine", 1),
        ):  # fmt: skip
            detail = {"domain": f"{name}.example", "policy": policy}
            notices.give(session, owner.id, READY, detail, NOW - timedelta(days=days))
        page = listing.page(session, owner, RELAY, limit=10)
        ready = {each.domain.name: each.ready_for for each in page if each.ready_for}
        assert ready == {"told.example": "quarantine"}
