"""The relay's own zone forgets its keys, or is another one from now on: real questions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from franking.db import Database
from franking.dns.lookups import Resolvers
from franking.domains import life, lost, ownership, relayzone
from franking.domains.checks.finding import Finding
from franking.domains.config import Dkim
from franking.domains.keys import keys_of
from franking.domains.models import DkimKey, Domain, ZoneEntry
from franking.domains.records import quoted
from franking.settings import Settings
from tests import factories
from tests.dns.fakedns import FakeDns
from tests.published import asking, publish

NOW = datetime(2036, 11, 21, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD, NEW = "keys.relay.test", "dkim.relay.test"


class Place:
    """A verified domain whose key is behind a CNAME, and the server that everybody asks."""

    def __init__(self, database: Database, settings: Settings, server: FakeDns) -> None:
        self.database = database
        self.server = server
        self._base = settings
        self.settings = self.with_zone(OLD)
        with database.transaction() as session:
            account = factories.account(session)
            domain = ownership.add(
                session, account, "shop.test", master_key=factories.MASTER_KEY, now=NOW,
                dkim=self.settings.dkim, method="cname",
            )  # fmt: skip
            self.domain_id, self.token = domain.id, domain.dkim_token
        self.alarms: list[str] = []
        self.tell(NOW - HOUR)
        publish(server, database, self.settings, self.domain_id)
        self.look(NOW)
        assert self.state() == "verified" and not self.alarms

    def with_zone(self, zone: str) -> Settings:
        own = self._base.model_copy(update={"dkim": Dkim(zone=zone, rotate_months=0)})
        return asking(own, self.server)

    def tell(self, at: datetime) -> None:
        """What the zone's server would be told; it has it at once."""
        with self.database.transaction() as session:
            told = {"published": ZoneEntry.value, "published_at": at}
            session.execute(update(ZoneEntry).values(told))
        for zone in (OLD, NEW):
            self.server.set_zone(zone, "\n".join(
                f"{row.name}. TXT {quoted(row.value)}"
                for row in self.rows() if row.value and relayzone.inside(row.name, zone)
            ))  # fmt: skip

    def rows(self) -> list[ZoneEntry]:
        with self.database.session() as session:
            return list(session.scalars(select(ZoneEntry).order_by(ZoneEntry.name)))

    def look(self, now: datetime) -> dict[str, Finding]:
        """The findings about keys, by selector."""
        found = life.look_at(
            self.database, self.settings, Resolvers(self.settings.dns), self.domain_id, now,
            alarm=self.alarms.append,
        )  # fmt: skip
        return {f.record.name.split(".")[0]: f for f in found if f.record.purpose == "dkim"}

    def domain(self) -> Domain:
        with self.database.session() as session:
            return session.get_one(Domain, self.domain_id)

    def target(self) -> str:
        return f"frank1.{self.token}.{NEW}"

    def value(self) -> str:
        return next(row.value or "" for row in self.rows())

    def state(self) -> life.State:
        return life.state(self.domain())

    def known(self, now: datetime) -> lost.Known:
        with self.database.session() as session:
            return lost.known(session, self.settings.dkim.zone, now)


@pytest.fixture
def place(database: Database, settings: Settings) -> Iterator[Place]:
    with FakeDns({}) as server:
        yield Place(database, settings, server)


def test_what_the_zone_has_lost_is_told_again_and_the_alarm_raised_once(place: Place) -> None:
    with place.database.transaction() as session:  # an old key, which is not looked for
        domain = session.get_one(Domain, place.domain_id)
        session.add(DkimKey(
            domain_id=domain.id, selector="frank2", algorithm="rsa-sha256", public_key="old",
            sealed_private_key=b"", state="retiring", method="cname",
        ))  # fmt: skip
        session.flush()
        relayzone.refresh(session, domain, keys_of(session, domain), OLD)
    place.tell(NOW - HOUR)
    place.server.set_zone(OLD, "")
    found = place.look(NOW + DAY)["frank1"]
    assert (found.status, found.fault) == ("pending", "key_not_in_zone")
    assert [row.published for row in place.rows()] == [None, None]
    assert place.alarms == ["frank1._domainkey.shop.test"]
    assert place.domain().check_due_at == NOW + DAY + HOUR, "not only tomorrow"
    for hours in range(1, 3):  # as long as it lasts
        place.look(NOW + DAY + hours * HOUR)
    assert (len(place.alarms), place.state()) == (1, "verified")

    place.tell(NOW + DAY + 3 * HOUR)
    assert place.look(NOW + DAY + 3 * HOUR)["frank1"].status == "verified"
    place.server.set_zone(OLD, "")
    place.look(NOW + 3 * DAY)
    assert len(place.alarms) == 2


def test_what_was_told_just_now_may_still_be_on_its_way(place: Place) -> None:
    place.tell(NOW + DAY)
    place.server.set_zone(OLD, "")
    place.look(NOW + DAY + lost.SETTLED / 2)
    assert all(row.published for row in place.rows())
    place.look(NOW + DAY + lost.SETTLED)
    assert not any(row.published for row in place.rows())


def test_silence_is_no_loss(place: Place) -> None:
    place.server.faults[OLD] = "servfail"
    assert place.look(NOW + DAY)["frank1"].status == "temporary_failure"
    assert all(row.published for row in place.rows()) and not place.alarms


def test_another_zone_suspends_nobody(place: Place) -> None:
    """Customers are told the new target; the rows there are made, the old ones go when the CNAME
    has changed."""
    place.settings = place.with_zone(NEW)
    place.server.remove_zone(OLD)
    assert place.known(NOW) == lost.Known([], 1, f"frank1.{place.token}.{OLD}")
    for day in range(1, 30):
        found = place.look(NOW + day * DAY)["frank1"]
        assert (found.status, found.fault) == ("pending", "relay_zone_moved")
        assert found.advice.endswith(
            f"CNAME record: host frank1._domainkey, value {place.target()}"
        )
    assert place.state() == "verified" and place.domain().failing_since is None
    assert place.domain().dkim_due_at == NOW + 29 * DAY, "at once, not only next week"

    with place.database.transaction() as session:  # as the rotation does
        domain = session.get_one(Domain, place.domain_id)
        relayzone.refresh(session, domain, keys_of(session, domain), NEW)
    place.tell(NOW + 29 * DAY)
    publish(place.server, place.database, place.settings, place.domain_id)
    assert place.look(NOW + 30 * DAY)["frank1"].status == "verified"
    assert [row.name for row in place.rows()] == [place.target()]
    assert place.known(NOW + 30 * DAY) == lost.Known([(place.target(), place.value())])


@pytest.mark.parametrize("answers", ["", "servfail", "nothing"])
def test_no_zone_any_more_suspends_nobody(answers: str, place: Place) -> None:
    """The keys are to be TXT records, and the CNAME is in their place."""
    place.settings = place.with_zone("")
    if answers == "nothing":
        place.server.remove_zone(OLD)
    elif answers:
        place.server.faults[OLD] = answers
    for day in range(1, 30):
        found = place.look(NOW + day * DAY)["frank1"]
        wanted = ("pending", "relay_zone_moved") if answers else ("verified", None)
        assert (found.status, found.fault) == wanted
    assert place.state() == "verified" and place.domain().failing_since is None
    assert place.known(NOW).outside == 1


def test_a_customer_who_removes_the_cname_is_told(place: Place) -> None:
    place.settings = place.with_zone(NEW)
    text = "_franking TXT franking-verify\nfrank1._domainkey CNAME frank1.other.keys.relay.test."
    place.server.set_zone("shop.test", text)
    assert place.look(NOW + DAY)["frank1"].fault == "cname_wrong_target"
    assert place.state() == "failing"
