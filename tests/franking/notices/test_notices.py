"""Telling an account something: the row, the mail that is due, the webhook, or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.money.billing import preferences
from franking.notices import notices
from franking.notices.models import Notice
from franking.reasons import NotFound
from franking.sealing import Sealer
from franking.webhooks import endpoints, outbox
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Delivery
from tests import factories

NOW = datetime(2026, 7, 14, 10, tzinfo=UTC)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def account(session: Session) -> Account:
    return factories.account(session, "acme")


def test_it_is_written_mailed_and_posted(session: Session, account: Account) -> None:
    made = endpoints.create(
        session, account, "https://example.com/", sealer=Sealer(factories.MASTER_KEY),
        rules=Webhooks(),
    )  # fmt: skip
    notice = notices.give(
        session, account.id, "deposit.paid", {"amount": 1_234_500_000, "automatic": False}, NOW
    )
    assert notice.detail == {
        "amount": 1_234_500_000, "automatic": False, "account": "acme", "currency": "EUR"
    }  # fmt: skip
    assert (notice.mail_due_at, notices.mail_state(notice)) == (NOW, "waiting")
    (delivery,) = outbox.deliveries(session, made.endpoint)
    assert delivery.webhook_id == f"notice_{notice.id}"
    assert json.loads(delivery.body) == {
        "type": "deposit.paid",
        "timestamp": "2026-07-14T10:00:00+00:00",
        "data": {
            "id": f"notice_{notice.id}",
            "amount": "1234.50",
            "automatic": False,
            "account": "acme",
            "currency": "EUR",
        },
    }


def test_mail_can_be_switched_off(session: Session, account: Account) -> None:
    preferences.change(session, account, alerts_by_mail=False)
    notice = notices.give(session, account.id, "balance.low", now=NOW)
    assert (notice.mail_due_at, notices.mail_state(notice)) == (None, "off")


def test_it_is_there_with_what_it_tells_of_or_not_at_all(database: Database) -> None:
    with database.transaction() as session:
        account = factories.account(session)
        made = endpoints.create(
            session, account, "https://example.com/", sealer=Sealer(factories.MASTER_KEY),
            rules=Webhooks(),
        )  # fmt: skip
        assert made.endpoint.id
    with pytest.raises(RuntimeError), database.transaction() as session:
        notices.give(session, account.id, "balance.low", now=NOW)
        raise RuntimeError("the caller's own trouble")
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(Notice)) == 0
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_an_unknown_kind_is_a_bug(session: Session, account: Account) -> None:
    with pytest.raises(ValueError, match=r"balance\.lo"):
        notices.give(session, account.id, "balance.lo")


def test_the_list_is_the_accounts_own_newest_first(session: Session, account: Account) -> None:
    stranger = factories.account(session)
    given = [notices.give(session, account.id, "balance.low", now=NOW).id for _ in range(3)]
    theirs = notices.give(session, stranger.id, "balance.low", now=NOW)
    first = notices.listed(session, account, limit=2)
    rest = notices.listed(session, account, before_id=first[-1].id)
    assert [notice.id for notice in (*first, *rest)] == given[::-1]
    assert notices.get(session, account, given[0]).account_id == account.id
    with pytest.raises(NotFound):
        notices.get(session, account, theirs.id)
