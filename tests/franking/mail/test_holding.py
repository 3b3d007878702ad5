"""Mail that waits for room: who waits, in which order it goes, and that it is counted once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from franking.accounts import credentials as keys
from franking.accounts import limits, rules
from franking.accounts.limits import Exceeded
from franking.accounts.models import Account, RateCounter
from franking.accounts.rules import Rules, parse_window
from franking.db import Database
from franking.domains.models import Domain
from franking.mail import acceptance, events, holding, transitions
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import authority
from franking.mail.models import Event, HeldMessage, Message, Recipient
from franking.money import pricing
from franking.money.models import Plan
from franking.reasons import AccountSuspended, NotFound
from tests import factories

NOW = datetime(2026, 11, 21, 10, 0, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
NODE = "n1"


@dataclass
class Shop:
    """An account whose plan has these windows."""

    database: Database
    usernames: dict[str, str] = field(default_factory=dict)

    def limit(self, *windows: str) -> None:
        stored = rules.stored(Rules(windows=tuple(map(parse_window, windows))))
        with self.database.transaction() as session:
            session.execute(update(Plan).values(rules=stored))

    def send(
        self, queue_id: str, *to: str, key: str = "web", now: datetime = NOW, node: str = NODE
    ) -> Outcome:
        with self.database.transaction() as session:
            who = authority(session, self.usernames[key], now)
            assert who is not None
            message = Acceptance(
                node=node, queue_id=queue_id, authority=who,
                domain_id=session.scalars(select(Domain.id)).one(),
                from_address="a@example.com", envelope_sender="a@example.com",
                recipients=list(to or ("one@dest.example",)),
                subject="s", message_id="m", size=1, now=now, client_ip="192.0.2.1",
            )  # fmt: skip
            return acceptance.accept(session, message)

    def line(self, node: str = NODE) -> list[str]:
        with self.database.session() as session:
            return [row.queue_id for row in holding.of_node(session, node, 100)]

    def grant(self, queue_id: str, now: datetime) -> None:
        with self.database.session() as session:
            row = session.get_one(HeldMessage, (queue_id, NODE))
            holding.check(session, row, now)
        with self.database.transaction() as session:
            holding.grant(session, row, now)

    def released(self, *queue_ids: str) -> set[str]:
        with self.database.transaction() as session:
            return transitions.record_released(session, NODE, queue_ids, LATER)

    def state(self, queue_id: str) -> tuple[str, set[str], list[str]]:
        with self.database.session() as session:
            kinds = session.scalars(
                select(Event.kind).where(Event.queue_id == queue_id).order_by(Event.id)
            ).all()
            recipients = select(Recipient.status).where(Recipient.queue_id == queue_id)
            message = session.get_one(Message, (queue_id, NODE))
            return message.status, set(session.scalars(recipients)), list(kinds)

    def used(self, now: datetime) -> int:
        with self.database.session() as session:
            row = session.get(RateCounter, ("account:1", "minute", limits.start_of("minute", now)))
            return row.used if row else 0


@pytest.fixture
def shop(database: Database) -> Shop:
    shop = Shop(database)
    with database.transaction() as session:
        plan = pricing.create_plan(session, "p", currency="EUR", unit_price=1, now=NOW)
        owner = factories.funded(session, on=plan)
        factories.verified_domain(session, owner)
        for name in ("web", "app"):
            made = keys.create(session, owner, name, prefix=factories.PREFIX)
            shop.usernames[name] = made.credential.username
    shop.limit("1/minute hold")
    return shop


def test_what_exceeds_waits_and_is_not_counted(shop: Shop) -> None:
    assert [shop.send(q, "a@b.example", "c@d.example") for q in ("A", "B", "C")] == [
        Outcome.DELIVER, Outcome.HOLD, Outcome.HOLD,
    ]  # fmt: skip
    assert shop.state("A")[0] == "queued"
    assert shop.state("B") == ("held", {"held"}, ["accepted", "accepted", "held"])
    with shop.database.session() as session:
        held = session.scalars(select(Event).where(Event.kind == "held")).first()
        assert held is not None and held.recipient is None
        assert held.reply == "limit of 1 messages per minute exceeded"
    assert shop.used(NOW) == 1
    assert shop.line() == ["B", "C"]
    assert shop.line("n2") == []


def test_released_it_is_like_any_other(shop: Shop) -> None:
    shop.send("A")
    shop.send("B")
    with pytest.raises(Exceeded):
        shop.grant("B", NOW)
    shop.grant("B", LATER)
    assert shop.used(LATER) == 1
    assert shop.state("B")[0] == "held", "until Postfix has let it go"
    assert shop.released("B") == {"B"}
    assert shop.state("B") == ("queued", {"queued"}, ["accepted", "held", "released"])
    assert shop.line() == []


def test_it_is_counted_once_and_released_once(shop: Shop) -> None:
    shop.limit("2/minute hold")
    for queue_id in "ABC":
        shop.send(queue_id)
    shop.grant("C", LATER)
    shop.grant("C", LATER)  # as after a crash before Postfix was told
    assert shop.used(LATER) == 1
    assert shop.line() == ["C"], "granted, not gone"
    assert shop.released("C", "A", "nobody's") == {"C"}
    assert shop.released("C") == set()
    assert shop.state("C")[2] == ["accepted", "held", "released"]
    shop.grant("C", LATER)
    assert shop.used(LATER) == 1


def test_later_mail_queues_up_behind_it(shop: Shop) -> None:
    """Else a busy sender's new mail would take each window's room before the old."""
    shop.send("A")
    shop.send("B")
    assert shop.send("C", now=LATER) is Outcome.HOLD
    assert shop.send("other", key="app", now=LATER) is Outcome.DELIVER
    after = LATER + timedelta(minutes=1)
    shop.grant("B", after)
    shop.limit("2/minute hold")
    shop.grant("C", after)
    assert shop.send("D", now=after) is Outcome.HOLD, "this minute is full"
    assert shop.used(after) == 2


def test_who_queues_up_is_still_refused_by_other_limits(shop: Shop) -> None:
    shop.limit("2/minute hold", "3/day reject", "4/hour recipients")
    assert [shop.send(q) for q in "ABC"] == [Outcome.DELIVER, Outcome.DELIVER, Outcome.HOLD]
    with pytest.raises(NotAccepted) as caught:
        shop.send("D", *(f"{n}@dest.example" for n in range(5)))
    assert caught.value.reply.code == 550, "more recipients than an hour takes"
    shop.grant("C", LATER)
    with pytest.raises(NotAccepted) as caught:
        shop.send("E", now=LATER)
    assert caught.value.reply.text.startswith("Rate limit exceeded (3 messages per day)")


def test_a_customers_request_is_first_in_line_and_no_way_round(
    shop: Shop, database: Database
) -> None:
    for number, queue_id in enumerate("ABCD"):
        shop.send(queue_id, now=NOW + timedelta(seconds=number))
    with database.transaction() as session:
        owner = session.scalars(select(Account)).one()
        assert holding.request_release(session, owner, "D", NOW).release_requested_at == NOW
    assert shop.line() == ["D", "B", "C"]
    with pytest.raises(Exceeded):
        shop.grant("D", NOW)
    shop.grant("D", LATER)
    with pytest.raises(Exceeded):
        shop.grant("B", LATER)


def test_the_operator_lets_go_what_he_likes(shop: Shop, database: Database) -> None:
    shop.send("A")
    shop.send("B")
    with database.transaction() as session:
        assert holding.let_go(session, "B", NOW).granted_at == NOW
    shop.released("B")
    assert shop.used(NOW) == 1, "not counted"
    with database.transaction() as session, pytest.raises(NotFound):
        holding.let_go(session, "B", NOW)


def test_others_mail_cannot_be_released(shop: Shop, database: Database) -> None:
    shop.send("A")
    shop.send("B")
    with database.transaction() as session:
        stranger = factories.account(session)
        with pytest.raises(NotFound):
            holding.request_release(session, stranger, "B", NOW)
        owner = session.get_one(Account, 1)
        with pytest.raises(NotFound):
            holding.request_release(session, owner, "A", NOW)


def test_the_oldest_of_all_keys_goes_first(shop: Shop) -> None:
    shop.send("A")
    for number, key in enumerate(("web", "app", "web", "app")):
        shop.send(f"Q{number}", key=key, now=NOW + timedelta(seconds=number))
    assert shop.line() == ["Q0", "Q1", "Q2", "Q3"]
    with shop.database.session() as session:
        found = [row.queue_id for row in holding.of_node(session, NODE, 1)]
    assert found == ["Q0", "Q1"], "so many of each"


def test_the_limits_are_those_of_the_day_of_release(shop: Shop) -> None:
    shop.limit("1/month hold")
    shop.send("A")
    shop.send("B")
    with pytest.raises(Exceeded):
        shop.grant("B", LATER)
    shop.limit("5/month hold")
    shop.grant("B", LATER)


def test_nothing_is_released_while_the_account_is_suspended(shop: Shop, database: Database) -> None:
    shop.send("A")
    shop.send("B")
    with database.transaction() as session:
        factories.suspend(session, session.scalars(select(Account)).one())
    with pytest.raises(AccountSuspended):
        shop.grant("B", LATER)


def test_a_voided_message_no_longer_waits(shop: Shop, database: Database) -> None:
    shop.send("A")
    shop.send("B")
    with database.transaction() as session:
        transitions.give_up(session, NODE, ["B"], NOW)
        events.record_voided(session, NODE, {"B": "no queue file"}, NOW)
    assert shop.line() == []
    assert shop.released("B") == set()
    assert shop.state("B")[0] == "voided"


def test_deleted_by_the_operator_it_has_an_end(shop: Shop, database: Database) -> None:
    shop.send("A")
    shop.send("B")
    with database.transaction() as session:
        transitions.leave_hold(session, NODE, ["B"], NOW)
        assert len(events.record_removed(session, NODE, [("B", NOW)])) == 1
    assert shop.state("B") == ("expired", {"expired"}, ["accepted", "held", "expired"])
    assert shop.line() == []
