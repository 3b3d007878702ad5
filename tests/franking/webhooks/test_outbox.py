"""The outbox: who gets what, and what is seen of it."""

from __future__ import annotations

import json

from sqlalchemy import update

from franking.db import Database
from franking.money.models import Plan
from franking.money.terms import Terms, stored
from franking.webhooks import outbox
from franking.webhooks.models import Endpoint
from tests import factories

from .conftest import NOW, claim, endpoint, enqueue


def test_each_endpoint_gets_what_it_wants(database: Database) -> None:
    with database.transaction() as session:
        account, stranger = factories.account(session), factories.account(session)
        everything = endpoint(session, account)
        some = endpoint(session, account, "balance.low", "cap.reached")
        other = endpoint(session, account, "deposit.paid")
        theirs = endpoint(session, stranger)
        told = outbox.enqueue(
            session, account.id, "balance.low", {"available": "1.20"}, webhook_id="x", now=NOW
        )
        assert told == 2
        bodies = {
            each.id: [delivery.body for delivery in outbox.deliveries(session, each)]
            for each in (everything, some, other, theirs)
        }
    assert bodies[other.id] == bodies[theirs.id] == []
    assert bodies[everything.id] == bodies[some.id]
    assert json.loads(bodies[some.id][0] or "") == {
        "type": "balance.low",
        "timestamp": "2026-07-14T10:00:00+00:00",
        "data": {"available": "1.20"},
    }


def test_nothing_for_a_plan_that_has_no_webhooks_any_more(
    database: Database, account_id: int
) -> None:
    with database.transaction() as session:
        session.execute(update(Plan).values(terms=stored(Terms(features=()))))
    enqueue(database, account_id, "a")
    assert claim(database) == []


def test_the_list_is_paged(database: Database, account_id: int) -> None:
    enqueue(database, account_id, "a", "b", "c")
    with database.session() as session:
        found = session.get_one(Endpoint, 1)
        first = outbox.deliveries(session, found, limit=2)
        rest = outbox.deliveries(session, found, limit=2, before_id=first[-1].id)
    assert [each.webhook_id for each in (*first, *rest)] == ["c", "b", "a"]
