"""Endpoints: whose they are, what their plan allows, what becomes of their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.money import pricing
from franking.money.terms import Terms
from franking.reasons import Invalid, NotFound
from franking.sealing import Sealer, SealError
from franking.webhooks import endpoints, outbox
from franking.webhooks.config import Webhooks
from tests import factories

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)
RULES = Webhooks()
SEALER = Sealer(factories.MASTER_KEY)
URL = "https://example.com/hook"


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    return factories.account(session, "acme")


def create(session: Session, account: Account, *events: str) -> endpoints.Created:
    return endpoints.create(session, account, URL, events=events, sealer=SEALER, rules=RULES)


def test_the_secret_is_sealed_for_its_row(session: Session, account: Account) -> None:
    one, other = create(session, account), create(session, account)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", one.secret)
    assert one.secret != other.secret
    assert one.secret.encode() not in one.endpoint.sealed_secret
    assert endpoints.reveal(one.endpoint, SEALER) == one.secret
    one.endpoint.sealed_secret = other.endpoint.sealed_secret
    with pytest.raises(SealError):
        endpoints.reveal(one.endpoint, SEALER)


def test_after_a_rotation_both_secrets_sign_for_a_time(session: Session, account: Account) -> None:
    first = create(session, account)
    number, day = first.endpoint.id, timedelta(days=1)
    second = endpoints.rotate(session, account, number, overlap=day, sealer=SEALER, now=NOW)
    row = second.endpoint
    assert endpoints.secrets_of(row, SEALER, NOW) == [second.secret, first.secret]
    assert endpoints.secrets_of(row, SEALER, NOW + day) == [second.secret]
    third = endpoints.rotate(session, account, number, overlap=day * 0, sealer=SEALER, now=NOW)
    assert endpoints.secrets_of(row, SEALER, NOW) == [third.secret]
    with pytest.raises(Invalid, match="at most 30 days"):
        endpoints.rotate(session, account, number, overlap=31 * day, sealer=SEALER, now=NOW)


def test_another_account_does_not_find_it(session: Session, account: Account) -> None:
    made = create(session, account)
    stranger = factories.account(session)
    number = made.endpoint.id
    for attempt in (
        lambda: endpoints.get(session, stranger, number),
        lambda: endpoints.change(session, stranger, number, rules=RULES, url=URL),
        lambda: endpoints.rotate(
            session, stranger, number, overlap=timedelta(), sealer=SEALER, now=NOW
        ),
        lambda: endpoints.disable(session, stranger, number, "x", NOW),
        lambda: endpoints.enable(session, stranger, number),
        lambda: endpoints.remove(session, stranger, number),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert endpoints.all_of(session, stranger) == []
    assert endpoints.all_of(session, account) == [made.endpoint]


def test_a_plan_may_have_no_webhooks(session: Session) -> None:
    plan = pricing.create_plan(
        session, "bare", currency="EUR", unit_price=1, terms=Terms(features=("api",))
    )
    with pytest.raises(Invalid, match="plan has no webhooks"):
        create(session, factories.account(session, on=plan))


def test_events_are_known_ones(session: Session, account: Account) -> None:
    made = create(session, account, "cap.reached", "balance.low", "balance.low")
    assert made.endpoint.events == ["balance.low", "cap.reached"]
    with pytest.raises(Invalid, match=r"'balance.lo' is no event"):
        create(session, account, "balance.lo")
    changed = endpoints.change(
        session, account, made.endpoint.id, rules=RULES, url="https://example.org/", events=[]
    )
    assert (changed.url, changed.events) == ("https://example.org/", [])


def test_there_are_only_so_many(session: Session, account: Account) -> None:
    for _ in range(endpoints.MOST):
        create(session, account)
    with pytest.raises(Invalid, match="at most 20 endpoints"):
        create(session, account)


def test_what_waits_for_a_disabled_endpoint_is_given_up(session: Session, account: Account) -> None:
    row = create(session, account).endpoint
    waiting = outbox.test(session, row, NOW)
    endpoints.disable(session, account, row.id, "by its owner", NOW)
    session.refresh(waiting)
    assert outbox.state_of(waiting) == "dead"
    assert waiting.last_error == "endpoint disabled: by its owner"
    assert outbox.enqueue(session, account.id, "balance.low", {}, webhook_id="a", now=NOW) == 0
    with pytest.raises(Invalid, match="disabled"):
        outbox.test(session, row, NOW)
    endpoints.enable(session, account, row.id)
    assert outbox.enqueue(session, account.id, "balance.low", {}, webhook_id="b", now=NOW) == 1


def test_removing_takes_its_deliveries_along(session: Session, account: Account) -> None:
    row, kept = create(session, account).endpoint, create(session, account).endpoint
    outbox.enqueue(session, account.id, "balance.low", {}, webhook_id="a", now=NOW)
    endpoints.remove(session, account, row.id)
    assert endpoints.all_of(session, account) == [kept]
    assert len(outbox.deliveries(session, kept)) == 1
