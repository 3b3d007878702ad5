"""What acceptance writes of the messages that Postfix then throws away or holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from franking.accounts import credentials, rules
from franking.accounts.rules import Rules, parse_window
from franking.db import Database
from franking.mail import acceptance
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import authority
from franking.mail.models import Event, HeldMessage, Message, Recipient
from franking.money.models import Balance, Reservation
from tests import factories

NOW = datetime(2036, 11, 21, 10, 0, tzinfo=UTC)


def prepared(database: Database, *, mode: str = "live", limits: Rules | None = None) -> Acceptance:
    """A message of a new account on a plan with these rules; not accepted yet."""
    with database.transaction() as session:
        owner = factories.funded(session)
        owner.plan.rules = rules.stored(limits or Rules())
        domain = factories.verified_domain(session, owner)
        made = credentials.create(session, owner, "c", prefix=factories.PREFIX, mode=mode)
        found = authority(session, made.credential.username, NOW)
        assert found is not None
        return Acceptance(
            node="n1",
            queue_id="Q1",
            authority=found,
            domain_id=domain.id,
            from_address="a@example.com",
            envelope_sender="a@example.com",
            recipients=["one@dest.example", "two@dest.example"],
            subject="s",
            message_id="<m@example.com>",
            size=100,
            now=NOW,
        )


def accept(database: Database, message: Acceptance) -> Outcome:
    with database.transaction() as session:
        return acceptance.accept(session, message)


def written(database: Database) -> tuple[str, list[str], list[str], int, int]:
    """Message status, recipients' statuses, event kinds, reservations, money spent."""
    with database.session() as session:
        return (
            session.scalars(select(Message.status)).one(),
            list(session.scalars(select(Recipient.status).order_by(Recipient.address))),
            list(session.scalars(select(Event.kind).order_by(Event.id))),
            len(session.scalars(select(Reservation)).all()),
            factories.BALANCE - session.scalars(select(Balance.available)).one(),
        )


def test_a_test_credential_sends_nothing_and_pays_nothing(database: Database) -> None:
    assert accept(database, prepared(database, mode="test")) is Outcome.DISCARD
    assert written(database) == (
        "sandboxed",
        ["sandboxed", "sandboxed"],
        ["accepted", "sandboxed", "accepted", "sandboxed"],
        0,
        0,
    )


def test_a_suppressed_recipient_is_left_out(database: Database) -> None:
    message = replace(prepared(database), suppressed={"one@dest.example": "manual 2026-02-03"})
    assert accept(database, message) is Outcome.DELIVER
    assert written(database) == (
        "queued",
        ["suppressed", "queued"],
        ["accepted", "suppressed", "accepted"],
        1,
        factories.PRICE,
    )
    with database.session() as session:
        event = session.scalars(select(Event).where(Event.kind == "suppressed")).one()
        assert (event.recipient, event.reply) == ("one@dest.example", "manual 2026-02-03")


def test_nothing_is_paid_when_all_are_suppressed(database: Database) -> None:
    message = prepared(database)
    message = replace(message, suppressed=dict.fromkeys(message.recipients, "complaint"))
    assert accept(database, message) is Outcome.DISCARD
    assert written(database)[0] == "suppressed"
    assert written(database)[3:] == (0, 0)


@pytest.mark.parametrize(
    ("limit", "code", "key"),
    [
        ("1/day", 450, "rate_limited"),
        ("1/day reject", 550, "rate_refused"),
        ("2/day recipients", 450, "rate_limited"),
    ],
)
def test_beyond_a_limit_nothing_is_written(
    database: Database, limit: str, code: int, key: str
) -> None:
    first = prepared(database, limits=Rules(windows=(parse_window(limit),)))
    assert accept(database, first) is Outcome.DELIVER
    before = written(database)
    with pytest.raises(NotAccepted) as caught:
        accept(database, replace(first, queue_id="Q2"))
    assert (caught.value.reply.code, caught.value.reply.key) == (code, key)
    assert written(database) == before


def test_the_quota_has_its_own_reply(database: Database) -> None:
    first = prepared(database, limits=Rules(daily_quota=1))
    accept(database, first)
    with pytest.raises(NotAccepted) as caught:
        accept(database, replace(first, queue_id="Q2"))
    assert caught.value.reply.line("https://p").startswith("452 4.5.3 Daily quota exceeded (1 per")


def test_beyond_a_holding_limit_the_message_waits_and_is_paid(database: Database) -> None:
    first = prepared(database, limits=Rules(windows=(parse_window("1/day hold"),)))
    assert accept(database, first) is Outcome.DELIVER
    assert accept(database, replace(first, queue_id="Q2")) is Outcome.HOLD
    with database.session() as session:
        assert session.scalars(select(HeldMessage.queue_id)).all() == ["Q2"]
        assert session.get_one(Message, ("Q2", "n1")).status == "held"
        kinds = session.scalars(select(Event.kind).where(Event.queue_id == "Q2"))
        assert set(kinds) == {"accepted", "held"}
        assert len(session.scalars(select(Reservation)).all()) == 2
