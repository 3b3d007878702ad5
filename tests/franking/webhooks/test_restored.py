"""A database that was restored from a dump: transactions have lower numbers than before."""

from __future__ import annotations

from sqlalchemy import update

from franking.mail import reading
from franking.mail.models import Event
from franking.mail.reading import Place
from tests.franking.webhooks.conftest import NOW, Customer

OTHERS = 1 << 50  # a transaction that this server has not had yet


def test_readers_read_on(customer: Customer) -> None:
    customer.send()
    unread = customer.send()
    with customer.database.transaction() as session:
        assert not reading.is_restored(session)
        session.execute(update(Event).values(xid=OTHERS))
        first, second = (row.id for row in reading.these(session, range(1, 100), NOW, NOW))
        assert reading.place(session, "x") == Place()
        reading.move(session, "x", Place(OTHERS, first), NOW)
    later = customer.happens(unread, "delivered")
    with customer.database.transaction() as session:
        assert reading.is_restored(session) is (session.connection().dialect.name == "postgresql")
        assert later not in [
            row.id for row in reading.following(session, reading.at(session, "x"), 10)
        ]
        reading.begin_anew(session)
    with customer.database.session() as session:
        assert not reading.is_restored(session)
        assert [row.id for row in reading.following(session, reading.at(session, "x"), 10)] == [
            second,
            later,
        ]
