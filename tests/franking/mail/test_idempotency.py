"""One key, one message: first, repeat, pending, conflict, expired, voided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import acceptance, events, messages
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import Funds, authority
from franking.mail.models import IdempotencyKey, Message
from franking.money import ledger, settling
from franking.money.models import Balance
from franking.money.terms import Terms
from franking.reasons import NotFound
from tests import factories

NOW = datetime(2036, 11, 21, 10, 0, tzinfo=UTC)
CONTENT, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def first(database: Database) -> Acceptance:
    """Not accepted yet."""
    with database.transaction() as session:
        owner = factories.funded(session, "acme")
        domain = factories.verified_domain(session, owner)
        username = factories.credential(session, owner).credential.username
        found = authority(session, username, NOW)
        assert found is not None
        return Acceptance(
            node="n1",
            queue_id="Q1",
            authority=found,
            domain_id=domain.id,
            from_address="a@example.com",
            envelope_sender="a@example.com",
            recipients=["r@dest.example"],
            subject="s",
            message_id="<m@example.com>",
            size=100,
            now=NOW,
            idempotency=("order-1", CONTENT),
        )


def accept(database: Database, message: Acceptance) -> Outcome:
    with database.transaction() as session:
        return acceptance.accept(session, message)


def settle(database: Database, queue_id: str, state: str) -> None:
    with database.transaction() as session:
        settling.settle(session, "n1", {queue_id: (state, "test")}, NOW)  # type: ignore[dict-item]
        if state == "voided":
            events.record_voided(session, "n1", {queue_id: "test"}, NOW)


def again(message: Acceptance, queue_id: str = "Q2", **changes: object) -> Acceptance:
    later = NOW + timedelta(minutes=5)
    return replace(message, **({"queue_id": queue_id, "now": later} | changes))  # type: ignore[arg-type]


def spent(session: Session) -> int:
    balance = session.scalars(select(Balance)).one()
    return factories.BALANCE - balance.available


def test_a_repeat_is_the_first_message(database: Database, first: Acceptance) -> None:
    assert accept(database, first) is Outcome.DELIVER
    settle(database, "Q1", "captured")
    assert accept(database, again(first)) is Outcome.DISCARD
    assert accept(database, again(first, "Q3")) is Outcome.DISCARD
    with database.session() as session:
        owner = first.authority.account_id
        account = session.get_one(Account, owner)
        assert messages.get(session, account, "Q2").queue_id == "Q1"
        assert messages.get(session, account, "Q3").queue_id == "Q1"
        assert session.scalars(select(Message.queue_id)).all() == ["Q1"]
        assert spent(session) == factories.PRICE


def test_a_foreign_repeat_leads_nowhere(database: Database, first: Acceptance) -> None:
    accept(database, first)
    settle(database, "Q1", "captured")
    accept(database, again(first))
    with database.transaction() as session:
        stranger = factories.account(session)
        with pytest.raises(NotFound):
            messages.get(session, stranger, "Q2")


def test_until_the_first_is_settled_the_repeat_has_to_wait(
    database: Database, first: Acceptance
) -> None:
    accept(database, first)
    with pytest.raises(NotAccepted) as caught:
        accept(database, again(first))
    assert (caught.value.reply.code, caught.value.reply.key) == (451, "idempotency_pending")


def test_other_content_is_refused(database: Database, first: Acceptance) -> None:
    accept(database, first)
    settle(database, "Q1", "captured")
    with pytest.raises(NotAccepted) as caught:
        accept(database, again(first, idempotency=("order-1", OTHER)))
    assert (caught.value.reply.code, caught.value.reply.key) == (554, "idempotency_conflict")
    with database.session() as session:
        assert spent(session) == factories.PRICE


def test_a_voided_first_gives_way(database: Database, first: Acceptance) -> None:
    accept(database, first)
    settle(database, "Q1", "voided")
    assert accept(database, again(first, idempotency=("order-1", OTHER))) is Outcome.DELIVER
    with database.session() as session:
        assert session.scalars(select(IdempotencyKey.queue_id)).all() == ["Q2"]


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        (timedelta(hours=24) - timedelta(seconds=1), Outcome.DISCARD),
        (timedelta(hours=24), Outcome.DELIVER),
    ],
)
def test_a_key_lives_24_hours(
    database: Database, first: Acceptance, age: timedelta, outcome: Outcome
) -> None:
    accept(database, first)
    settle(database, "Q1", "captured")
    assert accept(database, again(first, now=NOW + age)) is outcome


def test_keys_belong_to_an_account(database: Database, first: Acceptance) -> None:
    accept(database, first)
    settle(database, "Q1", "captured")
    with database.transaction() as session:
        other = factories.funded(session, "other")
        domain = factories.verified_domain(session, other, "other.example")
        username = factories.credential(session, other).credential.username
        found = authority(session, username, NOW)
    assert accept(database, again(first, authority=found, domain_id=domain.id)) is Outcome.DELIVER


def test_what_is_unknown_is_no_answer(database: Database, first: Acceptance) -> None:
    """It may yet be voided, and the mail would be lost."""
    accept(database, first)
    settle(database, "Q1", "unknown")
    with pytest.raises(NotAccepted) as caught:
        accept(database, again(first))
    assert caught.value.reply.key == "idempotency_pending"


def test_a_test_key_is_no_answer_to_live_mail(database: Database, first: Acceptance) -> None:
    sandboxed = replace(first, authority=replace(first.authority, mode="test"))
    assert accept(database, sandboxed) is Outcome.DISCARD
    assert accept(database, again(first)) is Outcome.DELIVER
    assert accept(database, again(sandboxed, "Q3")) is Outcome.DISCARD
    with database.session() as session:
        account = session.get_one(Account, first.authority.account_id)
        assert messages.get(session, account, "Q3").queue_id == "Q1"


def test_what_waits_for_money_is_known_after_a_while(database: Database, first: Acceptance) -> None:
    """By then housekeeping has voided what Postfix did not keep."""
    who = first.authority
    waiting = replace(first, authority=replace(who, terms=Terms(on_empty="hold"), funds=Funds(0)))
    with database.transaction() as session:
        ledger.adjust(session, who.account_id, -factories.BALANCE, reference="x", note="x")
    assert accept(database, waiting) is Outcome.HOLD
    again = replace(waiting, queue_id="Q2", now=NOW + timedelta(minutes=1))
    with pytest.raises(NotAccepted, match="in progress"):
        accept(database, again)
    later = replace(waiting, queue_id="Q3", now=NOW + timedelta(minutes=6))
    assert accept(database, later) is Outcome.DISCARD
    with database.session() as session:
        assert messages.find(session, "Q3").queue_id == "Q1"
