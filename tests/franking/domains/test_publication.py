"""A real server takes the relay's zone by dynamic updates; or an operator loads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.db import Database
from franking.domains import dkim, publication, relayzone
from franking.domains.config import Dkim
from franking.domains.models import ZoneEntry
from franking.nodes import duties
from franking.reasons import Invalid, Taken
from tests.dns.endpoint import Endpoint
from tests.dns.knot import Knot

ZONE = "keys.relay.example"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG = f"v=DKIM1; k=rsa; p={dkim.generate()[1]}"


@pytest.fixture(scope="module")
def knot() -> Iterator[Knot]:
    with Knot({ZONE: ""}) as running:
        yield running


@pytest.fixture
def own(knot: Knot) -> Dkim:
    knot.set_zone(ZONE, "")
    return Dkim(
        zone=ZONE, update_server=str(knot), tsig_name=knot.tsig_name,
        tsig_secret=SecretStr(knot.tsig_secret), zone_ttl=77,
    )  # fmt: skip


def answered(knot: Knot, name: str) -> list[tuple[str, int]]:
    """Text and TTL of each TXT record; a name that does not exist has none."""
    question = dns.message.make_query(f"{name}.", "TXT")
    answer = dns.query.tcp(question, knot.address, 5, knot.port)
    assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return [
        (b"".join(rdata.strings).decode(), rrset.ttl) for rrset in answer.answer for rdata in rrset
    ]


def put(database: Database, **values: str | None) -> None:
    """Rows `<keyword>.keys.relay.example`; None withdraws."""
    with database.transaction() as session:
        for label, value in values.items():
            if value is None:
                relayzone.withdraw(session, f"{label}.{ZONE}")
            else:
                relayzone.put(session, f"{label}.{ZONE}", value)


def rows(database: Database) -> dict[str, ZoneEntry]:
    with database.session() as session:
        return {row.name: row for row in session.scalars(select(ZoneEntry))}


def test_records_come_change_and_go(database: Database, knot: Knot, own: Dkim) -> None:
    put(database, a=LONG, b="v=DMARC1")
    done = publication.publish(database, own, NOW, node="n1")
    assert (done.told, done.errors) == (2, {})
    assert answered(knot, f"a.{ZONE}") == [(LONG, 77)]
    assert {(r.published, r.published_at) for r in rows(database).values()} == {
        (LONG, NOW), ("v=DMARC1", NOW),
    }  # fmt: skip
    assert publication.publish(database, own, NOW, node="n1").told == 0

    later = NOW + timedelta(days=1)
    put(database, a='with "marks" and \\', b=None)
    assert publication.publish(database, own, later, node="n2").told == 2
    assert answered(knot, f"a.{ZONE}") == [('with "marks" and \\', 77)]
    assert answered(knot, f"b.{ZONE}") == []
    assert list(rows(database)) == [f"a.{ZONE}"]
    assert rows(database)[f"a.{ZONE}"].published_at == later


def test_everything_again(database: Database, knot: Knot, own: Dkim) -> None:
    put(database, a=LONG)
    publication.publish(database, own, NOW, node="n1")
    knot.set_zone(ZONE, "")
    assert answered(knot, f"a.{ZONE}") == []
    later = NOW + timedelta(days=1)
    assert publication.publish(database, own, later, node="n1", everything=True).told == 1
    assert answered(knot, f"a.{ZONE}") == [(LONG, 77)]
    assert rows(database)[f"a.{ZONE}"].published_at == NOW, "since when it should be there"


def test_many(database: Database, knot: Knot, own: Dkim) -> None:
    """Several messages, each too long for UDP."""
    names = {f"k{number}": f"{LONG}{number}" for number in range(2 * publication.BATCH + 5)}
    put(database, **names)
    assert publication.publish(database, own, NOW, node="n1").told == len(names)
    for label, value in names.items():
        assert answered(knot, f"{label}.{ZONE}") == [(value, 77)]


def test_one_that_is_refused_does_not_keep_the_others_out(database: Database) -> None:
    """An update message is done as a whole, or not at all."""
    taken: list[str] = []

    def reply(wire: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        message = dns.message.from_wire(wire)
        names = {rrset.name.to_text().partition(".")[0] for rrset in message.sections[2]}
        answer = dns.message.make_response(message)
        if "bad" in names:
            answer.set_rcode(dns.rcode.SERVFAIL)
        else:
            taken.extend(names)
        return answer.to_wire(), 0.0

    put(database, a="one", bad="two", c="three")
    with database.transaction() as session:
        relayzone.put(session, "foreign.example", "four")
    with Endpoint("127.0.0.1", 0, reply) as server:
        own = Dkim(zone=ZONE, update_server=f"127.0.0.1@{server.port}")
        done = publication.publish(database, own, NOW, node="n1")
    assert (done.told, sorted(taken)) == (2, ["a", "c"])
    assert done.errors == {
        f"bad.{ZONE}": f"127.0.0.1@{server.port} said SERVFAIL",
        "foreign.example": f"is not in {ZONE}",
    }
    found = rows(database)
    assert {name for name, row in found.items() if row.error} == set(done.errors)
    assert {name for name, row in found.items() if row.published is None} == set(done.errors)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tsig_secret": SecretStr("YWJjZA==")}, "TSIG|signature|key"),
        ({"tsig_name": "", "tsig_secret": SecretStr("")}, "REFUSED|NOTAUTH"),
        ({"tsig_name": "somebody-else"}, "TSIG|signature|key"),
        ({"zone": "other.example"}, "TSIG|NOTAUTH"),
        ({"update_server": "no-such-host.invalid"}, "no-such-host"),
    ],
    ids=["secret", "unsigned", "name", "zone", "host"],
)
def test_a_server_that_does_not_take_it(
    database: Database, knot: Knot, own: Dkim, change: dict[str, object], said: str
) -> None:
    name = f"a.{change.get('zone', ZONE)}"
    with database.transaction() as session:
        relayzone.put(session, name, "one")
    done = publication.publish(database, own.model_copy(update=change), NOW, node="n1")
    assert done.told == 0 and re.search(said, done.errors[name])
    entry = rows(database)[name]
    assert entry.published is None and entry.error == done.errors[name]
    assert answered(knot, f"a.{ZONE}") == []


def test_a_server_that_is_down_is_told_when_it_is_back(
    database: Database, knot: Knot, own: Dkim, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, a="one")
    with monkeypatch.context() as patched:
        patched.setattr(publication, "TIMEOUT", 0.5)  # by UDP, nobody says that a port is closed
        down = own.model_copy(update={"update_server": "127.0.0.1@1"})
        assert "refused" in publication.publish(database, down, NOW, node="n1").errors[f"a.{ZONE}"]
    assert publication.publish(database, own, NOW, node="n1").told == 1
    assert answered(knot, f"a.{ZONE}") == [("one", 77)]
    assert rows(database)[f"a.{ZONE}"].error is None


def test_one_node_at_a_time(database: Database, own: Dkim) -> None:
    put(database, a="one")
    with database.transaction() as session:
        assert duties.take(session, publication.TURN, "n2", lease=timedelta(minutes=1), now=NOW)
    with pytest.raises(Taken, match="another node"):
        publication.publish(database, own, NOW, node="n1")
    later = NOW + timedelta(minutes=2)
    assert publication.publish(database, own, later, node="n1").told == 1
    put(database, a="two")
    assert publication.publish(database, own, later, node="n2").told == 1


def test_a_change_on_the_way_is_told_next(database: Database, own: Dkim) -> None:
    put(database, a="one")
    with database.transaction() as session:
        publication.told(session, own, NOW)
        relayzone.put(session, f"a.{ZONE}", "two")
    assert publication.publish(database, own, NOW, node="n1").told == 1


def test_what_changes_before_it_has_the_turn_is_not_told_as_it_was(
    database: Database, knot: Knot, own: Dkim, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, a="one", b="two")
    real = duties.take

    def late(session: Session, *args: Any, **keywords: Any) -> bool:
        relayzone.put(session, f"a.{ZONE}", "three")
        relayzone.withdraw(session, f"b.{ZONE}")
        return real(session, *args, **keywords)

    monkeypatch.setattr(duties, "take", late)
    assert publication.publish(database, own, NOW, node="n1").told == 1
    assert answered(knot, f"a.{ZONE}") == [("three", 77)]
    assert answered(knot, f"b.{ZONE}") == []


def test_what_is_withdrawn_from_a_former_zone_is_forgotten(database: Database, own: Dkim) -> None:
    with database.transaction() as session:
        relayzone.put(session, "a.former.example", "one").published = "one"
        relayzone.withdraw(session, "a.former.example")
    assert publication.publish(database, own, NOW, node="n1").errors == {}
    assert rows(database) == {}


def test_without_a_server(database: Database) -> None:
    with pytest.raises(Invalid, match="update_server"):
        publication.publish(database, Dkim(zone=ZONE), NOW, node="n1")


def test_an_exported_zone(database: Database, knot: Knot) -> None:
    """The operator loads a file; what has changed since it was written is not in it."""
    own = Dkim(zone=ZONE, zone_ttl=60)
    put(database, a=LONG, b='v="DMARC1"', gone="x")
    with database.transaction() as session:
        relayzone.put(session, "foreign.example", "four")
        assert publication.told(session, own, NOW, publication.text(session, own)) == 3
    put(database, gone=None, a="new", c="three")
    with database.session() as session:
        exported = publication.text(session, own)
    knot.set_zone(ZONE, exported)
    assert answered(knot, f"a.{ZONE}") == [("new", 60)]
    assert answered(knot, f"b.{ZONE}") == [('v="DMARC1"', 60)]
    put(database, c="changed since")
    with database.transaction() as session:
        assert publication.told(session, own, NOW, exported) == 2
    found = rows(database)
    assert (found[f"a.{ZONE}"].published, found[f"c.{ZONE}"].published) == ("new", None)
    assert f"gone.{ZONE}" not in found
    with database.transaction() as session, pytest.raises(Invalid, match="no zone file"):
        publication.told(session, own, NOW, "@ IN TXT unfinished (")
