"""A year of daily mail while keys rotate, on both ways and with both algorithms.

A real name server takes the relay's zone by dynamic updates, a resolver that remembers is between
it and the receivers, the worker's own duty moves the keys on, and the milter's own code signs.  A
customer with TXT records publishes and removes what the notices say, some days later.  Each message
is verified as it arrives and again five days later.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import dns.message
import dns.query
import dns.rcode
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from franking.db import Database
from franking.dns.config import Dns
from franking.dns.lookups import Resolvers
from franking.domains import life, ownership
from franking.domains.config import Dkim
from franking.domains.models import Domain, ZoneEntry
from franking.domains.records import RelayNames, expected_records, quoted
from franking.money.models import PriceList
from franking.notices.models import Notice
from franking.settings import Settings
from milterd.office import Office
from milterd.verdict import Changes, Client
from tests import factories, verifiers
from tests.dns.knot import Knot
from tests.dns.unbound import Unbound
from tests.milterd.offered import message
from worker.dns.rotation import Rotation

START = datetime(2025, 1, 10, 9, tzinfo=UTC)  # in the past: signatures of the future are none
DAYS = 385
DAY = timedelta(days=1)
ZONE = "keys.relay.test"
METHODS: tuple[ownership.Method, ...] = ("cname", "txt")


@dataclass
class Internet(Mapping[str, str]):
    """What receivers see: a mapping of names to texts, for the verifier.

    A day is longer than anything is remembered, so nobody remembers what has `changed`; what has
    not need not be asked for again.
    """

    knot: Knot
    resolver: Unbound
    known: dict[str, str] = field(default_factory=dict)

    def changed(self) -> None:
        self.resolver.flush()
        self.known.clear()

    def __getitem__(self, name: str) -> str:
        if name not in self.known:
            self.known[name] = self._asked(name)
        return self.known[name]

    def _asked(self, name: str) -> str:
        question = dns.message.make_query(f"{name}.", "TXT")
        answer, _ = dns.query.udp_with_fallback(
            question, self.resolver.address, 10, self.resolver.port
        )
        texts = [
            b"".join(rdata.strings).decode()
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for rdata in rrset
        ]
        if len(texts) != 1:
            raise KeyError(name)
        return texts[0]

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


@dataclass
class Customer:
    """`published`: name → text, of the customer's own DNS.  Notices are read every day."""

    domain_id: int
    name: str
    username: str
    published: dict[str, str] = field(default_factory=dict)
    errands: list[tuple[date, str]] = field(default_factory=list)
    read: int = 0


class Year:
    def __init__(self, database: Database, settings: Settings, internet: Internet) -> None:
        self.database, self.settings, self.internet = database, settings, internet
        lookup = Resolvers(settings.dns)
        self.lookup = lookup
        self.now = START
        self.duty = Rotation(
            database, settings, lookup, clock=lambda: self.now,
            monotonic=self._seconds,
        )  # fmt: skip
        self.office = Office(settings, database)
        self.chance = random.Random(2025)
        self.customers = [self._customer(method) for method in METHODS]
        self.failures: list[str] = []
        self.verified = 0
        self.selectors: dict[str, list[str]] = defaultdict(list)
        self.last_signed: dict[str, datetime] = {}
        self.zone: dict[str, str | None] = {}
        self.waiting: list[tuple[datetime, bytes]] = []

    def _customer(self, method: ownership.Method) -> Customer:
        with self.database.transaction() as session:
            account = factories.funded(session)
            session.execute(update(PriceList).values(starts_at=START))
            domain = ownership.add(
                session, account, f"{method}.test", master_key=factories.MASTER_KEY, now=START,
                dkim=self.settings.dkim, method=method,
            )  # fmt: skip
            made = factories.credential(session, account)
            return Customer(domain.id, domain.name, made.credential.username)

    def _seconds(self) -> float:
        return self.now.timestamp()

    def begins(self) -> None:
        """Both publish all that is asked for; then they are verified as in production."""
        for customer in self.customers:
            with self.database.session() as session:
                domain = session.get_one(Domain, customer.domain_id)
                keys = ownership.keys_of(session, domain)
                records = expected_records(domain, keys, RelayNames.of(self.settings))
            customer.published = {
                f"{record.name}. {record.type}": record.quoted for record in records
            }
            self._load(customer)
        self._rotate(START)
        for customer in self.customers:
            life.look_at(self.database, self.settings, self.lookup, customer.domain_id, START)

    def day(self, number: int) -> None:
        now = START + number * DAY
        self._rotate(now)
        for customer in self.customers:
            self._errands(customer, now)
            self._mail(customer, now + timedelta(hours=3))
        while self.waiting and self.waiting[0][0] <= now + timedelta(hours=3):
            self._verify(self.waiting.pop(0)[1], "5 days later")

    def _rotate(self, now: datetime) -> None:
        self.now = now
        self.duty.look()
        with self.database.session() as session:
            zone = {row.name: row.published for row in session.scalars(select(ZoneEntry))}
        for name, text in self.zone.items():
            if text is not None and zone.get(name) != text:
                assert now - self.last_signed[text] >= 12 * DAY, f"{name} changed too early"
        if zone != self.zone:
            self.internet.changed()
        self.zone = zone

    # --- the customer ------------------------------------------------------------------------

    def _errands(self, customer: Customer, now: datetime) -> None:
        with self.database.session() as session:
            domain = session.get_one(Domain, customer.domain_id)
            query = select(Notice).where(
                Notice.account_id == domain.account_id, Notice.id > customer.read
            )
            for notice in session.scalars(query.order_by(Notice.id)):
                customer.read = notice.id
                if notice.kind == "dkim.publish":
                    day = now.date() + self.chance.randint(3, 10) * DAY
                    customer.errands.append((day, f"{notice.detail['record']}. TXT"))
                elif "keep_until" in notice.detail:
                    customer.errands.append((date.fromisoformat(notice.detail["keep_until"]), ""))
            due = [record for day, record in customer.errands if day <= now.date()]
            if due:
                keys = ownership.keys_of(session, domain)
                expected = {
                    f"{record.name}. TXT": quoted(record.value)
                    for record in expected_records(domain, keys)
                    if record.purpose == "dkim"
                }
        if not due:
            return
        customer.errands = [errand for errand in customer.errands if errand[0] > now.date()]
        for record in due:
            if record:
                customer.published[record] = expected[record]
            else:  # the old ones may go
                for gone in [name for name in customer.published if "._domainkey." in name]:
                    if gone not in expected:
                        del customer.published[gone]
        self._load(customer)

    def _load(self, customer: Customer) -> None:
        text = "".join(f"{name} {value}\n" for name, value in customer.published.items())
        self.internet.knot.set_zone(customer.name, text)
        self.internet.changed()

    # --- the mail ----------------------------------------------------------------------------

    def _mail(self, customer: Customer, now: datetime) -> None:
        headers = [
            (b"From", f" Shop <shop@{customer.name}>".encode()),
            (b"Subject", f" {now:%d %B}".encode()),
        ]
        body = f"It is {now:%A}. \r\n\r\n".encode()
        offered = message(
            headers, body, client=Client(customer.username, "PLAIN", "192.0.2.1", "c.example"),
            sender=f"<bounce@{customer.name}>".encode(), relay=self.office.relay,
        )  # fmt: skip
        changes = self.office.judge(offered, "4held", now)
        assert isinstance(changes, Changes), changes
        fields = [
            *((b"DKIM-Signature", value) for value in changes.signatures), *headers, *changes.add,
        ]  # fmt: skip
        head = b"".join(name + b":" + value for name, value in _lines(fields))
        self._note(customer, changes, now)
        self._verify(head + b"\r\n" + body, "at once")
        self.waiting.append((now + 5 * DAY, head + b"\r\n" + body))

    def _note(self, customer: Customer, changes: Changes, now: datetime) -> None:
        for signature in changes.acceptance.signatures:
            used = self.selectors[f"{customer.name} {signature['algorithm']}"]
            if used[-1:] != [signature["selector"]]:
                used.append(signature["selector"])
            name = f"{signature['selector']}._domainkey.{customer.name}"
            self.last_signed[self.internet[name]] = now

    def _verify(self, raw: bytes, when: str) -> None:
        results = verifiers.dkimpy(raw, self.internet)
        self.verified += len(results)
        if results != [True, True]:
            self.failures.append(f"{when}: {results} {raw[:200]!r}")


def _lines(fields: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in fields:
        yield name, value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"


@pytest.fixture
def year(database: Database, settings: Settings) -> Iterator[Year]:
    with Knot({ZONE: "", "cname.test": "", "txt.test": ""}) as knot, Unbound(knot.port) as resolver:
        own = Dkim(
            zone=ZONE, ed25519=True, update_server=str(knot), tsig_name=knot.tsig_name,
            tsig_secret=SecretStr(knot.tsig_secret),
        )  # fmt: skip
        dns_ = Dns(resolvers=(str(resolver),), authoritative_port=knot.port)
        yield Year(
            database, settings.model_copy(update={"dkim": own, "dns": dns_}),
            Internet(knot, resolver),
        )  # fmt: skip


@pytest.mark.rest
@pytest.mark.timeout(300)
def test_every_message_of_a_year_verifies_at_once_and_five_days_later(year: Year) -> None:
    year.begins()
    for number in range(DAYS):
        year.day(number)
    assert year.failures == []
    assert year.verified == 2 * 2 * (DAYS + DAYS - 5), "2 customers, 2 signatures"
    rotations = {who: len(used) - 1 for who, used in year.selectors.items()}
    assert len(rotations) == 4 and min(rotations.values()) >= 4, rotations
    assert year.selectors["cname.test rsa-sha256"][:4] == ["frank1", "frank2", "frank1", "frank2"]
    assert year.selectors["txt.test ed25519-sha256"][:3] == ["s2025q1e", "s2025q2e", "s2025q3e"]
