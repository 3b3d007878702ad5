"""Domains in every state, as their pages are shown: what is published, and what is wrong with it.

The records are judged by the real checks, against a dictionary instead of the DNS.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from franking.accounts import users
from franking.accounts.models import Account
from franking.deliverability import results
from franking.deliverability.findings import Finding, fail, ok
from franking.domains import life, ownership
from franking.domains.checks import check
from franking.domains.config import Dkim, Dmarc
from franking.domains.dmarc import sources, stages, store
from franking.domains.dmarc.reports import Auth, Report, Row
from franking.domains.models import Domain
from franking.domains.records import (
    Record,
    RelayNames,
    dkim_value,
    expected_records,
    slot_target,
)
from franking.domains.rotation import steps
from tests import factories
from tests.browser.seed import EMAIL, PASSWORD, Seeded
from tests.webpanel.names import Names

FRESH = "nia@new.example"
DKIM = Dkim(zone="dkim.relay.example")
RELAY = RelayNames(
    bounces="bounces.relay.example",
    spf="include:spf.relay.example",
    dkim_zone=DKIM.zone,
    reports="reports.relay.example",
    slots=("frank1", "frank2"),
)
SETTINGS = """
[bounces]
domain = "bounces.relay.example"
[dmarc]
reports = "reports.relay.example"
[dkim]
zone = "dkim.relay.example"
[dns]
spf = "include:spf.relay.example"
"""
GRACE = timedelta(days=4)
LONG = "announcements.internationalsubsidiaryofacompanywithaverylongname.example"
SPF = "v=spf1 include:_spf.mailboxes.example ip4:203.0.113.7 ~all"


def populate(session: Session, now: datetime) -> Seeded:
    account = factories.funded(session, "shop", amount=25_000_000)
    users.create(session, account, EMAIL, PASSWORD)
    factories.credential(session, account, "Web shop")
    _verified(session, account, now)
    _by_cname(session, account, now)
    _failing(session, account, now)
    _suspended(session, account, now)
    _all_wrong(session, account, now)
    _add(session, account, "bücher.example", now - timedelta(minutes=1))
    fresh = factories.funded(session, "fresh")
    users.create(session, fresh, FRESH, PASSWORD)
    results.store(session, "relay1", _node(), now - timedelta(minutes=20))
    return Seeded({}, {})


def _add(
    session: Session, account: Account, name: str, at: datetime, method: ownership.Method = "txt"
) -> Domain:
    return ownership.add(
        session, account, name, master_key=factories.MASTER_KEY, dkim=DKIM, now=at, method=method
    )


def _records(session: Session, domain: Domain) -> list[Record]:
    return expected_records(domain, ownership.keys_of(session, domain), RELAY)


def _publish(session: Session, domain: Domain, names: Names) -> None:
    """All of them, and the keys behind the CNAMEs."""
    names.publish(*_records(session, domain))
    for key in ownership.keys_of(session, domain):
        names.values[slot_target(domain, key.selector, RELAY), "TXT"] = (dkim_value(key),)


def _look(session: Session, domain: Domain, names: Names, at: datetime) -> None:
    names.zones = (*names.zones, *(".".join(domain.name.split(".")[-2:]),), "relay.example")
    names.values["spf.relay.example", "TXT"] = ("v=spf1 ip4:198.51.100.0/24 -all",)
    names.values["_spf.mailboxes.example", "TXT"] = ("v=spf1 ip4:192.0.2.0/26 -all",)
    life.apply(session, domain, check(_records(session, domain), names), at, GRACE)


def _verified(session: Session, account: Account, now: datetime) -> None:
    """With all records but the merged SPF, a key that is announced, and a month of reports."""
    begin = now - timedelta(days=80)
    domain = _add(session, account, "shop.example", begin)
    names = Names()
    names.publish(*(r for r in _records(session, domain) if r.purpose != "spf"))
    names.values["shop.example", "TXT"] = (SPF, "site-verification=8c1d")
    _look(session, domain, names, begin + timedelta(minutes=5))
    steps.step(
        session, domain, now - timedelta(hours=20), own=DKIM, master_key=factories.MASTER_KEY,
        seen=lambda _record: False,
    )  # fmt: skip
    _look(session, domain, names, now - timedelta(hours=2))
    stages.observe(session, domain, None, begin)
    stages.observe(session, domain, "v=DMARC1; p=none", now - timedelta(days=36))
    _reports(session, domain, now)


def _by_cname(session: Session, account: Account, now: datetime) -> None:
    """All is well, and the next policy can come."""
    begin = now - timedelta(days=40)
    domain = _add(session, account, "news.shop.example", begin, "cname")
    names = Names()
    _publish(session, domain, names)
    _look(session, domain, names, now - timedelta(hours=5))
    stages.observe(session, domain, None, begin)
    stages.observe(session, domain, "v=DMARC1; p=quarantine", now - timedelta(days=35))
    own = store.own_of(session, domain, RELAY)
    for number in range(1, 30):
        rows = (_row("198.51.100.7", 4_000 + 31 * number, spf=f"bounce.{domain.name}"),)
        _report(session, domain, own, rows, now=now, days_ago=number)
    assert stages.announce(session, domain, now, Dmarc(), RELAY)


def _failing(session: Session, account: Account, now: datetime) -> None:
    """It has moved to another DNS provider, that did not take everything along."""
    domain = _add(session, account, "forum.example", now - timedelta(days=50), "cname")
    names = Names()
    _publish(session, domain, names)
    _look(session, domain, names, now - timedelta(days=50))
    for slot in ("frank1", "frank2"):
        del names.values[f"{slot}._domainkey.forum.example", "CNAME"]
    names.values["frank1._domainkey.forum.example", "A"] = ("203.0.113.80",)
    for hours in (90, 1):
        _look(session, domain, names, now - timedelta(hours=hours))


def _suspended(session: Session, account: Account, now: datetime) -> None:
    domain = _add(session, account, "lapsed.example", now - timedelta(days=90))
    names = Names()
    names.publish(*_records(session, domain))
    _look(session, domain, names, now - timedelta(days=90))
    names.values.clear()
    for days in (12, 9, 4, 1):
        _look(session, domain, names, now - timedelta(days=days))


def _all_wrong(session: Session, account: Account, now: datetime) -> None:
    """Every record has a fault of its own."""
    domain = _add(session, account, LONG, now - timedelta(minutes=40))
    names = Names()
    ownership_record, key, *_ = _records(session, domain)
    doubled = f"{ownership_record.name}.{'.'.join(LONG.split('.')[-2:])}"
    names.values[doubled, "TXT"] = (ownership_record.value,)
    names.values[key.name, "TXT"] = (key.value[:255], key.value[255:])
    names.values[LONG, "TXT"] = (SPF, "v=spf1 a mx ip4:192.0.2.0/24 ip4:203.0.113.0/28 -all")
    names.values[f"_dmarc.{LONG}", "TXT"] = ("v=DMARC1; p=none", "v=DMARC1; p=reject; rua=")
    _look(session, domain, names, now - timedelta(minutes=1))


# --- reports ---------------------------------------------------------------------------------


def _reports(session: Session, domain: Domain, now: datetime) -> None:
    """Mail through the relay, two services of which one is not aligned, a forger."""
    chance = random.Random(5)
    own = store.own_of(session, domain, RELAY)
    for number in range(1, 31):
        rows = [
            _row("198.51.100.7", chance.randrange(700, 1400), spf=f"bounce.{domain.name}"),
            _row("149.72.3.4", chance.randrange(10, 60), signer="sendgrid.net", aligned=False),
            _row("205.201.130.9", chance.randrange(100, 300), signer="mcsv.net"),
        ]
        if number % 4 == 1:
            rows.append(_row("203.0.113.200", chance.randrange(50, 400), aligned=False))
        if number % 9 == 1:
            rows.append(_row("2001:db8:77::9", chance.randrange(1, 9), aligned=False))
        _report(session, domain, own, tuple(rows), now=now, days_ago=number)


def _row(
    address: str, messages: int, *, spf: str = "", signer: str = "", aligned: bool = True
) -> Row:
    return Row(
        address, messages, "none", aligned, False, "shop.example",
        dkim=(Auth(signer, "pass"),) if signer else (),
        spf=(Auth(spf, "pass"),) if spf else (),
    )  # fmt: skip


def _report(
    session: Session,
    domain: Domain,
    own: sources.Own,
    rows: tuple[Row, ...],
    *,
    now: datetime,
    days_ago: int,
) -> None:
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    end = begin + timedelta(days=1, seconds=-1)
    number = f"{domain.id}-{days_ago}"
    report = Report("mailboxes.example", number, begin, end, domain.name, {}, rows)
    assert store.store(session, domain, report, own, now - timedelta(days=days_ago))


def _node() -> list[Finding]:
    lists = ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com")
    return [
        ok("helo", "relay1.relay.example", "is the name of 198.51.100.7 and 2001:db8:1::7"),
        ok("ptr", "198.51.100.7", "relay1.relay.example, and back"),
        fail(
            "ptr", "2001:db8:1::7", "has no PTR record",
            "set the reverse name of 2001:db8:1::7 to relay1.relay.example at your provider",
        ),
        *(ok("dnsbl", f"198.51.100.7 {name}", "not listed") for name in lists),
        *(ok("dnsbl", f"2001:db8:1::7 {name}", "not listed") for name in lists),
        ok("certificate", "submission:587", "for smtp.relay.example, until 2027-01-09"),
    ]  # fmt: skip
