"""A customer may name the hosts for bounces and tracking; nothing uses one that was not seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import ownership
from franking.domains.hosts import name_hosts
from franking.domains.models import Domain
from franking.domains.records import RelayNames, expected_records
from franking.mail.authority import signing_domain
from franking.reasons import Invalid
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RELAY = RelayNames(bounces="b.relay.example", tracking="t.relay.example")


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def domain(session: Session) -> Domain:
    made = factories.verified_domain(session, factories.funded(session, "acme"), "shop.example")
    made.return_path_at, made.check_due_at = NOW, datetime(2027, 1, 1, tzinfo=UTC)
    session.flush()
    return made


def name(session: Session, domain: Domain, return_path: str, tracking: str | None) -> Domain:
    account = session.get_one(Account, domain.account_id)
    return name_hosts(
        session, account, "shop.example", return_path=return_path, tracking=tracking, now=NOW
    )


def test_another_name_waits_for_its_record(session: Session, domain: Domain) -> None:
    name(session, domain, "Mail.shop.example", "click")
    records = expected_records(domain, ownership.keys_of(session, domain), RELAY)
    assert [(r.name, r.value) for r in records if r.purpose in ("return_path", "tracking")] == [
        ("mail.shop.example", "b.relay.example"),
        ("click.shop.example", "t.relay.example"),
    ]
    found = signing_domain(session, domain.account_id, "shop.example")
    assert found is not None and found.return_path is None
    assert domain.check_due_at == NOW


def test_the_same_names_change_nothing(session: Session, domain: Domain) -> None:
    name(session, domain, "bounce", None)
    found = signing_domain(session, domain.account_id, "shop.example")
    assert found is not None and found.return_path == "bounce.shop.example"
    assert domain.check_due_at != NOW


@pytest.mark.parametrize(
    ("return_path", "tracking", "field"),
    [
        ("", None, "return_path"),
        ("a.b", None, "return_path"),
        ("_x", None, "return_path"),
        ("-", None, "return_path"),
        ("x" * 64, None, "return_path"),
        ("shop.example", None, "return_path"),
        ("bounce", "b c", "tracking"),
        ("bounce", "Bounce", "tracking"),
    ],
)
def test_names_that_cannot_be(
    session: Session, domain: Domain, return_path: str, tracking: str | None, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        name(session, domain, return_path, tracking)
    assert set(refused.value.fields) == {field}
    assert (domain.return_path_host, domain.return_path_at) == ("bounce", NOW)
