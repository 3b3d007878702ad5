"""A closed account: nothing of its keys can be reached, nobody gets in, the books stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from franking.accounts import account as accounts
from franking.accounts import credentials, users
from franking.accounts.authentication import AuthenticationFailed, authenticate
from franking.accounts.models import Account, User
from franking.db import Database
from franking.domains import ownership
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.mail.authority import authority, signing_domain
from franking.money import ledger, verification
from franking.money.terms import Terms, stored
from franking.sealing import Sealer
from franking.webhooks import endpoints
from franking.webhooks.config import Webhooks
from tests import factories
from tests.looks import delegated, look

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
ZONE = "dkim.relay.example"


@pytest.fixture
def account(database: Database) -> Account:
    """With everything that an account can have."""
    sealer = Sealer(factories.MASTER_KEY)
    with database.transaction() as session:
        account = factories.funded(session, "acme")
        account.plan.terms = stored(Terms(features=("webhooks",)))
        for name, method in (("example.com", "txt"), ("example.org", "cname")):
            row = ownership.add(
                session, account, name, master_key=factories.MASTER_KEY,
                dkim=Dkim(zone=ZONE, ed25519=True), method=method,  # type: ignore[arg-type]
            )  # fmt: skip
            look(session, row, NOW)
            for entry in delegated(session, row):
                entry.published = entry.value
        users.create(session, account, "ann@example.com", "correct horse")
        endpoints.create(
            session, account, "https://hooks.example.com/", sealer=sealer, rules=Webhooks()
        )
        return account


def test_nothing_of_its_keys_is_reachable(database: Database, account: Account) -> None:
    with database.transaction() as session:
        public = set(session.scalars(select(DkimKey.public_key)))
        assert len(public) == 4
        accounts.close(session, account, NOW)
    with database.session() as session:
        assert session.scalar(select(func.count(DkimKey.id))) == 0
        assert [entry.value for entry in session.scalars(select(ZoneEntry))] == [None, None]
        for name in ("example.com", "example.org"):
            assert signing_domain(session, account.id, name) is None
        assert ownership.all_of(session, account) == []
        assert set(session.scalars(select(Domain.ownership_token))) == {""}


def test_a_cname_that_is_left_behind_leads_to_nobodys_key(
    database: Database, account: Account
) -> None:
    """The next owner of the name has another target, and the old one is told to answer nothing."""
    with database.transaction() as session:
        old = ownership.get(session, account, "example.org")
        targets = {entry.name for entry in delegated(session, old)}
        accounts.close(session, account, NOW)
        other = factories.account(session, on=account.plan)
        new = ownership.add(
            session, other, "example.org", master_key=factories.MASTER_KEY,
            dkim=Dkim(zone=ZONE, ed25519=True), method="cname",
        )  # fmt: skip
        look(session, new, NOW)
        assert new.verified_at == NOW
        mine = {entry.name for entry in delegated(session, new)}
        assert targets and mine and not targets & mine


def test_nobody_gets_in(database: Database, account: Account) -> None:
    with database.transaction() as session:
        made = factories.credential(session, account)
        session_before = session.scalars(select(User.fs_uniquifier)).one()
        accounts.close(session, account, NOW)
    username = made.credential.username
    with database.session() as session:
        standing = authority(session, username, NOW)
        assert standing is not None and standing.credential_ended
        assert standing.account_status == "closed"
        with pytest.raises(AuthenticationFailed):
            authenticate(session, username, made.secret, client_ip=None, secured=True, now=NOW)
        user = session.scalars(select(User)).one()
        assert not user.active and user.fs_uniquifier != session_before
        [endpoint] = endpoints.all_of(session, account)
        assert endpoint.disabled_at == NOW
        [credential] = credentials.all_of(session, account)
        assert credentials.state_of(credential, NOW) == "revoked"


def test_the_books_stay(database: Database, account: Account) -> None:
    with database.transaction() as session:
        before = ledger.balance(session, account.id).available
        accounts.close(session, account, NOW)
        accounts.close(session, account, NOW)  # a second time changes nothing
        assert ledger.balance(session, account.id).available == before
        assert list(verification.verify(session)) == []
