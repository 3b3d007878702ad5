"""Whose a name may be: added, proved, subdomains, removed and added again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from franking.accounts import credentials
from franking.accounts.credentials import Options
from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.domains import ownership
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, DnsCheck, Domain, ZoneEntry
from franking.mail.authority import signing_domain
from franking.reasons import Invalid, NotFound, Taken
from tests import factories
from tests.looks import delegated, look

KEY = factories.MASTER_KEY
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DELEGATED = Dkim(zone="dkim.relay.example", ed25519=True)


@pytest.fixture
def two(database: Database) -> tuple[Account, Account]:
    with database.transaction() as session:
        plan = factories.plan(session)
        return factories.account(session, "acme", on=plan), factories.account(session, on=plan)


def test_only_verified_domains_sign(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        domain = ownership.add(session, two[0], "Example.com", master_key=KEY)
        assert signing_domain(session, two[0].id, "example.com") is None
        ownership.mark_verified(session, domain, by="assumed")
        mine = signing_domain(session, two[0].id, "example.com")
        assert mine is not None and len(mine.keys) == 1
        assert signing_domain(session, two[1].id, "example.com") is None
        assert signing_domain(session, two[0].id, "sub.example.com") is None


def test_the_database_holds_one_verified_owner(
    database: Database, two: tuple[Account, Account]
) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        for account in two:
            row = ownership.add(session, account, "example.com", master_key=KEY)
            row.verified_at = utcnow()


def test_added_once_and_never_foreign(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        ownership.add(session, two[0], "example.com", master_key=KEY)
        with pytest.raises(Taken):
            ownership.add(session, two[0], "EXAMPLE.com.", master_key=KEY)
        with pytest.raises(NotFound):
            ownership.get(session, two[1], "example.com")
        with pytest.raises(Invalid):
            ownership.add(session, two[0], "_dmarc.example.com", master_key=KEY)


@pytest.mark.parametrize("name", ["co.uk", "github.io", "CO.UK.", "公司.cn", "kawasaki.jp"])
def test_a_public_suffix_is_nobodys(
    name: str, database: Database, two: tuple[Account, Account]
) -> None:
    with database.transaction() as session:
        with pytest.raises(Invalid, match="is a public suffix"):
            ownership.add(session, two[0], name, master_key=KEY)
        below = ownership.add(session, two[0], f"shop.a.{name}", master_key=KEY)
        assert below.name.startswith("shop.a.")


def test_each_account_and_domain_has_a_token_of_its_own(
    database: Database, two: tuple[Account, Account]
) -> None:
    with database.transaction() as session:
        rows = [
            ownership.add(session, account, name, master_key=KEY)
            for account in two
            for name in ("example.com", "example.org")
        ]
        assert len({row.ownership_token for row in rows}) == 4
        assert len({row.dmarc_token for row in rows}) == 4
        assert {len(row.ownership_token) for row in rows} == {32}


def test_keys_behind_cnames_need_a_zone(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        with pytest.raises(Invalid, match="no zone"):
            ownership.add(session, two[0], "example.com", master_key=KEY, method="cname")
        domain = ownership.add(
            session, two[0], "example.com", master_key=KEY, dkim=DELEGATED, method="cname"
        )
        keys = ownership.keys_of(session, domain)
        assert [(k.selector, k.algorithm, k.method) for k in keys] == [
            ("frank1", "rsa-sha256", "cname"),
            ("frank1e", "ed25519-sha256", "cname"),
        ]
        assert {entry.name for entry in delegated(session, domain)} == {
            f"{key.selector}.{domain.dkim_token}.dkim.relay.example" for key in keys
        }


def test_a_subdomain_needs_its_own_proof(database: Database, two: tuple[Account, Account]) -> None:
    """Neither the parent's owner nor anybody else has it without."""
    with database.transaction() as session:
        parent = ownership.add(session, two[0], "example.com", master_key=KEY)
        look(session, parent, NOW)
        parent.allow_subdomains = True
        below = ownership.add(session, two[1], "shop.example.com", master_key=KEY)
        look(session, below, NOW, ownership="missing")
        assert below.verified_at is None
        assert signing_domain(session, two[1].id, "shop.example.com") is None
        under = signing_domain(session, two[0].id, "shop.example.com")
        assert under is not None and under.name == "example.com"
        look(session, below, NOW)
        mine = signing_domain(session, two[1].id, "shop.example.com")
        assert mine is not None and mine.name == "shop.example.com"
        assert signing_domain(session, two[0].id, "shop.example.com") is None
        assert signing_domain(session, two[0].id, "other.example.com") is not None


def test_what_is_removed_leaves_nothing_behind(
    database: Database, two: tuple[Account, Account]
) -> None:
    with database.transaction() as session:
        domain = ownership.add(
            session, two[0], "example.com", master_key=KEY, dkim=DELEGATED, method="cname"
        )
        kept = ownership.add(session, two[1], "example.com", master_key=KEY)
        for entry in delegated(session, domain):
            entry.published = entry.value
        names = {entry.name for entry in delegated(session, domain)}
        look(session, domain, NOW)
        look(session, kept, NOW, ownership="missing")
        assert names and session.scalar(select(func.count(DnsCheck.id)))
        ownership.remove(session, two[0], "example.com", NOW)
    with database.session() as session:
        assert set(session.scalars(select(DkimKey.domain_id))) == {kept.id}
        assert set(session.scalars(select(DnsCheck.domain_id))) == {kept.id}
        entries = session.scalars(select(ZoneEntry).where(ZoneEntry.name.in_(names))).all()
        assert [entry.value for entry in entries] == [None] * len(names), "to be taken out"
        row = session.get_one(Domain, domain.id)
        assert (row.ownership_token, row.dkim_token, row.dmarc_token) == ("", None, None)
        assert (row.verified_at, row.check_due_at, row.dkim_due_at) == (None, None, None)
        assert ownership.all_of(session, two[0]) == []
        assert signing_domain(session, two[0].id, "example.com") is None
        with pytest.raises(NotFound):
            ownership.get(session, two[0], "example.com")
        with pytest.raises(NotFound):
            ownership.remove(session, two[0], "example.com", NOW)


def test_what_comes_back_is_new(database: Database, two: tuple[Account, Account]) -> None:
    with database.transaction() as session:
        first = ownership.add(session, two[0], "example.com", master_key=KEY, now=NOW)
        look(session, first, NOW)
        row_id, token = first.id, first.ownership_token
        [old] = [key.public_key for key in ownership.keys_of(session, first)]
        ownership.remove(session, two[0], "example.com", NOW)
        back = ownership.add(session, two[0], "example.com", master_key=KEY, now=NOW)
        assert back.id == row_id, "messages point at it"
        assert (back.verified_at, back.removed_at, back.check_due_at) == (None, None, NOW)
        assert back.ownership_token and back.ownership_token != token
        assert [key.public_key for key in ownership.keys_of(session, back)] != [old]
        assert ownership.all_of(session, two[0]) == [back]


def test_it_comes_back_unverified_whatever_was_left(
    database: Database, two: tuple[Account, Account]
) -> None:
    with database.transaction() as session:
        row = ownership.add(session, two[0], "example.com", master_key=KEY)
        ownership.remove(session, two[0], "example.com", NOW)
        row.verified_at = row.return_path_at = NOW
        row.failing_since = row.warned_at = row.suspended_at = NOW
        row.verified_by = "dns"
        back = ownership.add(session, two[0], "example.com", master_key=KEY)
        assert (back.verified_at, back.verified_by, back.return_path_at) == (None, None, None)
        assert (back.failing_since, back.warned_at, back.suspended_at) == (None, None, None)


def test_a_credential_loses_the_domain_and_gains_no_freedom(
    database: Database, two: tuple[Account, Account]
) -> None:
    with database.transaction() as session:
        for name in ("example.com", "example.org"):
            ownership.add(session, two[0], name, master_key=KEY)
        lists = (("example.com", "example.org"), ("example.com",), ())
        made = [
            credentials.create(
                session, two[0], "app", prefix="frank", options=Options(sending_domains=names)
            ).credential
            for names in lists
        ]
        ownership.remove(session, two[0], "example.com", NOW)
        assert [row.sending_domains for row in made] == [["example.org"], ["example.com"], []]
        with pytest.raises(Invalid, match="not among the domains"):
            credentials.change(
                session, two[0], made[2].username, Options(sending_domains=("example.com",))
            )
