"""What puts an address on the list, for how long, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.mail import suppressions
from franking.mail.bounce_classes import CATEGORIES
from franking.mail.config import Suppressions
from franking.mail.models import Event, Message, SoftFailure, Suppression
from franking.mail.suppressing import Failure, consider
from tests import factories

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANNA = "anna@example.org"
RULES = Suppressions(hard_days=0, soft_failures=3, soft_window_days=30, soft_days=14)
FULL: dict[str, Any] = {"category": "mailbox_full"}


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as open_now:
        yield open_now


class Shop:
    """An account, and what becomes of its messages; each gets the next queue ID."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.owner: Account = factories.funded(session, "acme")
        self.username = factories.credential(session, self.owner).credential.username
        self.domain = factories.verified_domain(session, self.owner).id
        self.messages = 0

    def message(self, *recipients: str) -> str:
        self.messages += 1
        queue_id = f"Q{self.messages}"
        return factories.message(
            self.session, self.username, self.domain, queue_id, NOW, recipients=recipients or [ANNA]
        )

    def failure(
        self,
        kind: Literal["bounced", "expired", "complained", "unsubscribed"] = "bounced",
        *,
        queue_id: str | None = None,
        address: str = ANNA,
        **more: Any,
    ) -> Failure:
        if kind == "bounced":
            more.setdefault("category", "invalid_recipient")
        sent = queue_id or self.message(address)
        return Failure(self.owner.id, address, sent, "n1", 7, kind, **more)

    def fails(self, *failures: Failure, now: datetime = NOW, rules: Suppressions = RULES) -> int:
        return consider(self.session, failures, rules, now)

    def deferred(self, queue_id: str, category: str) -> None:
        self.session.add(
            Event(account_id=self.owner.id, node="n1", queue_id=queue_id, kind="deferred",
                  attempt=1, recipient="Anna@example.org", category=category, detail={})
        )  # fmt: skip
        self.session.flush()

    def listed(self) -> dict[str, Suppression]:
        found = self.session.scalars(select(Suppression)).all()
        return {f"{row.address} {row.scope}:{row.scope_name}": row for row in found}

    def only(self) -> Suppression:
        (row,) = self.listed().values()
        self.session.refresh(row)
        return row

    def refused(self, now: datetime = NOW, stream: str = "default") -> bool:
        found = suppressions.matching(self.session, self.owner.id, [ANNA], "", stream, now=now)
        return bool(found)


@pytest.fixture
def shop(session: Session) -> Shop:
    return Shop(session)


def test_nobody_there_is_for_ever(shop: Shop) -> None:
    assert shop.fails(shop.failure(address="Anna@Example.ORG")) == 1
    row = shop.only()
    assert (row.address, row.scope, row.reason) == (ANNA, "account", "hard_bounce")
    assert (row.expires_at, row.event_id, row.created_at) == (None, 7, NOW)
    assert shop.refused(NOW + 9999 * DAY)


def test_or_for_so_many_days(shop: Shop) -> None:
    shop.fails(shop.failure(), rules=Suppressions(hard_days=30))
    assert shop.only().expires_at == NOW + 30 * DAY
    assert shop.refused(NOW + 29 * DAY)
    assert not shop.refused(NOW + 30 * DAY)


@pytest.mark.parametrize("category", [name for name, c in CATEGORIES.items() if c.kind != "hard"])
def test_no_other_failure_suppresses_at_once(shop: Shop, category: str) -> None:
    assert shop.fails(shop.failure(category=category)) == 0
    assert not shop.listed()


@pytest.mark.parametrize(
    "category", [name for name, c in CATEGORIES.items() if c.suppress == "never"]
)
def test_what_is_not_about_the_recipient_never_does(shop: Shop, category: str) -> None:
    for _ in range(10):
        assert shop.fails(shop.failure(category=category)) == 0


@pytest.mark.parametrize("category", ["mailbox_full", "inactive_mailbox"])
def test_what_may_pass_has_to_repeat(shop: Shop, category: str) -> None:
    assert shop.fails(shop.failure(category=category)) == 0
    assert shop.fails(shop.failure(category=category), now=NOW + DAY) == 0
    third = NOW + 2 * DAY
    assert shop.fails(shop.failure(category=category), now=third) == 1
    row = shop.only()
    assert (row.reason, row.scope, row.expires_at) == ("soft_bounce", "account", third + 14 * DAY)


def test_on_different_messages(shop: Shop) -> None:
    once = shop.message(ANNA)
    for day in range(5):
        assert shop.fails(shop.failure(queue_id=once, **FULL), now=NOW + day * DAY) == 0


def test_within_the_window(shop: Shop) -> None:
    for day in (0, 29, 58, 87):
        assert shop.fails(shop.failure(**FULL), now=NOW + day * DAY) == 0
    assert shop.fails(shop.failure(**FULL), now=NOW + 87 * DAY) == 1


def test_afterwards_it_begins_at_nought(shop: Shop) -> None:
    for _ in range(3):
        shop.fails(shop.failure(**FULL))
    over = NOW + 14 * DAY
    assert not shop.refused(over)
    assert [shop.fails(shop.failure(**FULL), now=over) for _ in range(3)] == [0, 0, 1]
    assert shop.only().expires_at == over + 14 * DAY


def test_each_address_counts_for_itself(shop: Shop) -> None:
    both = (ANNA, "berta@example.org")
    for _ in range(2):
        assert shop.fails(*(shop.failure(address=address, **FULL) for address in both)) == 0
    assert shop.fails(shop.failure(**FULL)) == 1
    assert shop.only().address == ANNA


def test_expired_is_about_the_recipient_only_if_the_mailbox_was_full(shop: Shop) -> None:
    for category, suppresses in (("greylisted", 0), ("connect_failure", 0), ("mailbox_full", 1)):
        found = 0
        for _ in range(3):
            queue_id = shop.message(ANNA)
            shop.deferred(queue_id, category)
            found += shop.fails(shop.failure("expired", queue_id=queue_id, category="expired"))
        assert found == suppresses


@pytest.mark.parametrize(
    ("kind", "reason"), [("complained", "complaint"), ("unsubscribed", "unsubscribe")]
)
def test_who_objects_gets_no_more_of_that_stream(
    shop: Shop, kind: Literal["complained", "unsubscribed"], reason: str
) -> None:
    assert shop.fails(shop.failure(kind, stream="news")) == 1
    row = shop.only()
    assert (row.scope, row.scope_name, row.reason) == ("stream", "news", reason)
    assert shop.refused(stream="news")
    assert not shop.refused()


def test_a_guess_suppresses_nobody(shop: Shop) -> None:
    assert shop.fails(shop.failure(heuristic=True), shop.failure("complained", heuristic=True)) == 0


def test_a_test_suppresses_nobody(shop: Shop) -> None:
    queue_id = shop.message(ANNA)
    shop.session.execute(update(Message).values(mode="test"))
    for kind in ("bounced", "complained", "unsubscribed"):
        assert shop.fails(shop.failure(kind, queue_id=queue_id)) == 0


def test_one_recipients_report_about_another_suppresses_nobody_at_once(shop: Shop) -> None:
    """Each recipient's server has seen the return path, and can write what it likes to it."""
    for number in range(3):
        shared = shop.message(ANNA, "mallory@example.net")
        assert shop.fails(shop.failure("complained", queue_id=shared, late=True)) == 0
        assert shop.fails(shop.failure(queue_id=shared, late=True)) == (number == 2)
    assert shop.only().reason == "soft_bounce"


def test_a_report_about_the_only_recipient_counts(shop: Shop) -> None:
    assert shop.fails(shop.failure(late=True)) == 1
    assert shop.only().reason == "hard_bounce"


def test_what_was_entered_by_hand_stays(shop: Shop) -> None:
    suppressions.add(
        shop.session, shop.owner, ANNA, note="on holiday", expires_at=NOW + DAY, now=NOW
    )
    assert shop.fails(shop.failure()) == 0
    assert (shop.only().reason, shop.only().note) == ("manual", "on holiday")
    assert shop.fails(shop.failure(), now=NOW + DAY) == 1  # it is over
    assert (shop.only().reason, shop.only().note) == ("hard_bounce", None)


def test_nothing_gets_shorter(shop: Shop) -> None:
    month, week = Suppressions(hard_days=30), Suppressions(hard_days=7)
    shop.fails(shop.failure(), rules=month)
    assert shop.fails(shop.failure(), rules=week) == 0
    assert shop.only().expires_at == NOW + 30 * DAY
    assert shop.fails(shop.failure(), rules=month, now=NOW + DAY) == 1
    assert shop.only().expires_at == NOW + 31 * DAY
    assert shop.fails(shop.failure()) == 1
    assert shop.only().expires_at is None
    assert shop.fails(shop.failure(), rules=month, now=NOW + 99 * DAY) == 0
    assert shop.only().expires_at is None


def test_whoever_is_removed_and_bounces_again_is_back(shop: Shop) -> None:
    shop.fails(shop.failure())
    suppressions.remove(shop.session, shop.owner, ANNA)
    assert not shop.refused()
    assert shop.fails(shop.failure()) == 1
    assert shop.refused()


def test_several_at_once(shop: Shop) -> None:
    said = [
        *(shop.failure(address=f"a{n}@example.org") for n in (3, 1, 2)),
        *(shop.failure(**FULL) for _ in range(3)),
        shop.failure(),
        shop.failure("complained", stream="news"),
        shop.failure("complained", stream="offers"),
    ]
    assert shop.fails(*said) == 6
    assert shop.listed()[f"{ANNA} account:"].reason == "hard_bounce"
    assert shop.session.scalar(select(func.count(SoftFailure.queue_id))) == 0


def test_both_forms_of_a_domain_are_one(shop: Shop) -> None:
    shop.fails(shop.failure(address="anna@bücher.example"))
    assert shop.fails(shop.failure(address="anna@xn--bcher-kva.example")) == 0
