"""Events into outboxes: who wants what, in batches, each once, whoever else is at it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from franking.accounts.models import Credential
from franking.mail import messages, reading
from franking.mail.models import EVENT_KINDS, Event
from franking.mail.published import FIELDS
from franking.money.models import Plan
from franking.money.terms import Terms, stored
from franking.reasons import Invalid
from franking.webhooks import endpoints, fanout, outbox
from franking.webhooks.config import Webhooks
from franking.webhooks.filters import Filters
from tests import factories
from tests.franking.webhooks.conftest import NOW, Customer


def test_the_whole_body_of_one(customer: Customer) -> None:
    number = customer.endpoint()
    queue_id = customer.send(tags=["welcome"])
    bounced = customer.happens(
        queue_id, "bounced", NOW + timedelta(seconds=3), attempt=1, sender="hello@example.com",
        smtp_code=550, enhanced_code="5.1.1", reply="no such user", category="invalid_recipient",
        remote_host="mx.example.org", remote_ip="192.0.2.1", delay=2.5,
        detail={"tls": "TLSv1.3", "delays": [0.1, 0.0, 1.4, 1.0], "hint": "x"},
    )  # fmt: skip
    customer.fan_out()
    accepted, delivery = customer.outbox(number)
    assert (accepted.kind, accepted.webhook_id) == ("accepted", f"evt_{bounced - 1}")
    assert (delivery.queue_id, delivery.node, delivery.events) == (queue_id, "n1", 1)
    assert delivery.webhook_id == f"evt_{bounced}"
    body = json.loads(delivery.body or "")
    assert tuple(body) == FIELDS
    username = body.pop("credential")
    assert username == customer.username
    assert body == {
        "schema_version": 1,
        "id": f"evt_{bounced}",
        "type": "bounced",
        "event": "bounced",
        "timestamp": "2026-07-14T10:00:03+00:00",
        "message_id": queue_id,
        "recipient": "anna@example.org",
        "sender": "hello@example.com",
        "bounce_category": "invalid_recipient",
        "enhanced_status_code": "5.1.1",
        "reason": "no such user",
        "account": "acme",
        "domain": "example.com",
        "stream": "default",
        "tags": ["welcome"],
        "metadata": {},
        "subject": "Hello",
        "header_message_id": f"<{queue_id}@example.com>",
        "mode": "live",
        "attempt": 1,
        "mx": "mx.example.org",
        "remote_ip": "192.0.2.1",
        "tls": "TLSv1.3",
        "smtp_code": 550,
        "cost": "0.0008",
        "delay": 2.5,
        "delays": [0.1, 0.0, 1.4, 1.0],
        "queued": None,
        "node": "n1",
        "detail": {"hint": "x"},
    }


def test_a_refusal_has_the_id_of_its_reply(customer: Customer) -> None:
    number = customer.endpoint("rejected")
    customer.happens(None, "rejected", reply="no", detail={"queue_id": "4ZR", "reply_key": "k"})
    customer.fan_out()
    (delivery,) = customer.outbox(number)
    body = json.loads(delivery.body or "")
    assert (body["message_id"], body["cost"], body["tags"]) == ("4ZR", None, [])
    assert body["detail"] == {"reply_key": "k"}
    assert (delivery.queue_id, delivery.node) == (None, None)


def test_each_endpoint_gets_what_it_wants(customer: Customer) -> None:
    everything = customer.endpoint()
    bounces = customer.endpoint("bounced", "balance.low")
    tagged = customer.endpoint(filters=Filters(tags=["welcome", "other"]))
    untagged = customer.endpoint(filters=Filters(tags=["other"]))
    bulk = customer.endpoint(filters=Filters(streams=["bulk"]))
    plain = customer.endpoint(filters=Filters(streams=["default"]))
    keyed = customer.endpoint(filters=Filters(credentials=[customer.username]))
    domain = customer.endpoint(filters=Filters(domains=["Example.COM."]))
    queue_id = customer.send(tags=["welcome"])
    customer.happens(queue_id, "bounced", sender="hello@example.com")
    customer.happens(None, "rejected", sender="x@mail.example.com")
    customer.happens(None, "rejected", sender="x@notexample.com")
    customer.fan_out()
    assert customer.kinds(everything) == ["accepted", "bounced", "rejected", "rejected"]
    assert customer.kinds(bounces) == ["bounced"]
    assert customer.kinds(tagged) == ["accepted", "bounced"]
    assert customer.kinds(untagged) == customer.kinds(bulk) == []
    assert customer.kinds(domain) == ["accepted", "bounced", "rejected"]
    assert customer.kinds(plain) == customer.kinds(keyed) == ["accepted", "bounced"]


def test_what_can_never_match_is_refused(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        stranger = factories.account(session)
        theirs = factories.credential(session, stranger).credential.username
        account = customer.account(session)
        for wrong, field in (
            (Filters(domains=["example.org"]), "domains"),
            (Filters(domains=["not a name"]), "domains"),
            (Filters(credentials=[theirs]), "credentials"),
            (Filters(tags=["x" * 251]), "tags"),
            (Filters(tags=list(map(str, range(51)))), "tags"),
            (Filters(streams=["No Stream"]), "streams"),
        ):
            with pytest.raises(Invalid) as caught:
                endpoints.change(session, account, number, rules=Webhooks(), filters=wrong)
            assert list(caught.value.fields) == [field]
        with pytest.raises(Invalid, match="1 to 100"):
            endpoints.change(session, account, number, rules=Webhooks(), batch=101)


def test_in_batches(customer: Customer) -> None:
    number = customer.endpoint(batch=3)
    alone = customer.endpoint("bounced", batch=100)
    ids = [customer.happens(None, "rejected") for _ in range(7)]
    customer.fan_out()
    found = customer.outbox(number)
    assert [delivery.events for delivery in found] == [3, 3, 1]
    assert [delivery.webhook_id for delivery in found] == [
        f"batch_{ids[0]}_{ids[2]}_{number}",
        f"batch_{ids[3]}_{ids[5]}_{number}",
        f"batch_{ids[6]}_{ids[6]}_{number}",
    ]
    body = json.loads(found[1].body or "")
    assert (body["type"], body["id"]) == ("batch", found[1].webhook_id)
    assert [event["id"] for event in body["events"]] == [f"evt_{each}" for each in ids[3:6]]
    assert customer.outbox(alone) == []


def test_in_steps(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number of events, and fewer when each makes many rows."""
    monkeypatch.setattr(fanout, "EVENTS", 4)
    monkeypatch.setattr(fanout, "ROWS", 6)
    ids = [customer.happens(None, "rejected") for _ in range(9)]
    assert customer.fan_out() == 3
    numbers = [customer.endpoint(), customer.endpoint(), customer.endpoint()]
    more = [customer.happens(None, "rejected") for _ in range(9)]
    assert customer.fan_out() == 5
    assert ids[-1] < more[0]
    for number in numbers:
        got = [delivery.webhook_id for delivery in customer.outbox(number)]
        assert got == [f"evt_{each}" for each in more]


def test_who_was_overtaken_writes_nothing(customer: Customer) -> None:
    number = customer.endpoint()
    customer.happens(None, "rejected")
    with customer.database.session() as session:
        slow = fanout.prepare(session, NOW)
    assert slow is not None
    customer.fan_out()
    customer.happens(None, "rejected")
    with customer.database.transaction() as session:
        assert not fanout.write(session, slow, NOW)
    customer.fan_out()
    assert len(customer.outbox(number)) == 2


def test_an_endpoint_that_goes_meanwhile(customer: Customer) -> None:
    disabled, removed, kept = customer.endpoint(), customer.endpoint(), customer.endpoint()
    customer.happens(None, "rejected")
    with customer.database.session() as session:
        prepared = fanout.prepare(session, NOW)
    assert prepared is not None and len(prepared.rows) == 3
    with customer.database.transaction() as session:
        endpoints.disable(session, customer.account(session), disabled, "x", NOW)
        session.delete(endpoints.get(session, customer.account(session), removed))
    with customer.database.transaction() as session:
        assert fanout.write(session, prepared, NOW)
    assert (customer.kinds(disabled), customer.kinds(kept)) == ([], ["rejected"])


def test_a_plan_without_webhooks(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        session.execute(update(Plan).values(terms=stored(Terms(features=()))))
    customer.happens(None, "rejected")
    customer.fan_out()
    assert customer.outbox(number) == []
    with customer.database.session() as session:
        assert reading.at(session, fanout.READER).event_id == session.scalar(select(Event.id))


def test_others_events_are_others(customer: Customer) -> None:
    number = customer.endpoint()
    with customer.database.transaction() as session:
        stranger = factories.account(session).id
    customer.happens(None, "rejected", account_id=stranger)
    customer.fan_out()
    assert customer.outbox(number) == []


def test_every_kind_of_event_can_be_chosen(customer: Customer) -> None:
    assert set(EVENT_KINDS) <= set(endpoints.KINDS)
    number = customer.endpoint(*EVENT_KINDS)
    queue_id = customer.send()
    for kind in EVENT_KINDS[1:]:
        customer.happens(queue_id, kind)
    customer.fan_out()
    assert customer.kinds(number) == list(EVENT_KINDS)


def test_the_stream_is_that_of_the_credential(customer: Customer) -> None:
    bulk = customer.endpoint(filters=Filters(streams=["bulk"]))
    with customer.database.transaction() as session:
        session.execute(update(Credential).values(stream="bulk"))
    customer.send()
    customer.fan_out()
    assert customer.kinds(bulk) == ["accepted"]


def test_a_message_has_what_was_told_of_it(customer: Customer) -> None:
    customer.endpoint()
    customer.endpoint(batch=2)  # of many messages, so of none
    queue_id, other = customer.send(), customer.send()
    customer.happens(queue_id, "delivered")
    customer.fan_out()
    with customer.database.session() as session:
        account = customer.account(session)
        message = messages.get(session, account, queue_id)
        told = outbox.of_message(session, account, message)
        assert [sent.delivery.kind for sent in told] == ["accepted", "delivered"]
        assert {sent.url for sent in told} == {"https://example.com/"}
        (first,) = outbox.of_message(session, account, messages.get(session, account, other))
        assert first.delivery.queue_id == other
        stranger = factories.account(session)
        assert outbox.of_message(session, stranger, message) == []
        due = first.delivery.due_at
        upcoming = outbox.upcoming(first.delivery, NOW)
        assert upcoming[:3] == [due, due + timedelta(seconds=5), due + timedelta(seconds=35)]
        assert len(upcoming) == 13
