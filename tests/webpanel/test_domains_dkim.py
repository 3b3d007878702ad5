"""The keys of a domain: what happens to them in words, a new one now, the other way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, DnsCheck, Domain
from franking.domains.ownership import keys_of
from franking.domains.records import expected_records
from franking.settings import Settings
from tests import others
from tests.webpanel.seed import Seed
from webpanel.domains.keys import happens

PAGE = "/domains/example.com/dkim"
NOW = utcnow()
OWN = Dkim()


def keys(database: Database) -> list[DkimKey]:
    with database.session() as session:
        return list(session.scalars(select(DkimKey).order_by(DkimKey.id)))


def test_the_present_key_and_its_turn(mine: FlaskClient, database: Database) -> None:
    page = mine.get(PAGE).text
    (key,) = keys(database)
    assert f"<code>{key.selector}</code>" in page
    assert ">active<" in page
    assert "Signs until about" in page
    assert "14 days before" in page
    assert "every 3 months" in page


def test_a_new_key_is_announced_with_its_record(mine: FlaskClient, database: Database) -> None:
    page = mine.post(f"{PAGE}/rotate", follow_redirects=True).text
    present, coming = keys(database)
    assert (present.state, coming.state) == ("active", "pending")
    assert "Publish its record below" in page
    assert f"{coming.selector}._domainkey.example.com" in page
    assert coming.public_key in page
    assert "Publish the next DKIM key" not in mine.get("/domains").text  # DNS comes first
    with database.session() as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.action == "domain.dkim_rotate"
    assert entry.detail == {"domain": "example.com", "selectors": [coming.selector]}
    mine.post(f"{PAGE}/rotate")
    assert len(keys(database)) == 2


def test_a_domain_that_is_not_verified_has_nothing_to_rotate(
    mine: FlaskClient, database: Database
) -> None:
    mine.post("/domains", data={"name": "new.example"})
    page = mine.post("/domains/new.example/dkim/rotate", follow_redirects=True).text
    assert "is not verified" in page
    assert "Signs as soon as the required records are found." in page


def test_to_cnames_and_back(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database
) -> None:
    assert "Change to CNAME" not in mine.get(PAGE).text
    page = mine.post(f"{PAGE}/method", data={"method": "cname"}, follow_redirects=True).text
    assert "no zone for CNAMEs" in page
    zone = settings.dkim.model_copy(update={"zone": "dkim.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"dkim": zone})
    page = mine.post(f"{PAGE}/method", data={"method": "cname"}, follow_redirects=True).text
    assert "Changed. The present key signs until" in page
    assert "frank1._domainkey.example.com" in page
    assert "Is being published behind your CNAME" in page
    assert "Change to TXT" in page
    mine.post(f"{PAGE}/method", data={"method": "cname"})  # as it is already
    mine.post(f"{PAGE}/method", data={"method": "smoke signals"})
    mine.post(f"{PAGE}/method", data={"method": "txt"})
    with database.session() as session:
        assert session.scalars(select(Domain.dkim_method)).all() == ["txt"]
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions == ["domain.dkim_method"] * 2


def test_keys_are_made_while_others_may_write(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    zone = settings.dkim.model_copy(update={"zone": "dkim.relay.example"})
    app.extensions["franking.settings"] = settings.model_copy(update={"dkim": zone})
    made = others.write_while_keys_are_made(monkeypatch, database)
    mine.post("/domains", data={"name": "new.example", "method": "txt"})
    mine.post(f"{PAGE}/rotate")
    mine.post(f"{PAGE}/method", data={"method": "cname"})
    assert len(made) == 3 and len(keys(database)) == 3, "the pending one has made room"


def test_without_a_master_key_it_is_said(
    mine: FlaskClient, app: Flask, settings: Settings, database: Database
) -> None:
    without = settings.model_copy(update={"master_key": settings.master_key.__class__("")})
    app.extensions["franking.settings"] = without
    page = mine.post(f"{PAGE}/rotate", follow_redirects=True).text
    assert "has no key to encrypt DKIM keys with" in page
    assert len(keys(database)) == 1


def test_a_key_that_waits_for_its_record_is_the_next_thing(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    mine.post(f"{PAGE}/rotate")
    with database.transaction() as session:
        domain = session.get_one(Domain, seed.domain_id)
        for record in expected_records(domain, keys_of(session, domain)):
            if record.required:
                session.add(
                    DnsCheck(
                        domain_id=domain.id, purpose=record.purpose, name=record.name,
                        status="verified",
                    )
                )  # fmt: skip
    page = mine.get("/domains").text
    assert "Publish the next DKIM key" in page
    assert f'href="{PAGE}"' in page


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            DkimKey(state="retiring", method="txt", remove_at=NOW + timedelta(days=12)),
            "Leave its record until",
        ),
        (DkimKey(state="retiring", method="cname", remove_at=NOW), "Leave its CNAME until"),
        (DkimKey(state="pending", method="txt", activate_at=NOW), "Publish its record below, bes"),
        (
            DkimKey(state="pending", method="txt", activate_at=NOW + timedelta(days=5)),
            "Publish its record below before",
        ),
        (
            DkimKey(
                state="pending", method="txt", seen_at=NOW, activate_at=NOW + timedelta(days=5)
            ),
            "Everybody sees its record. It signs from",
        ),
        (DkimKey(state="pending", method="cname", seen_at=NOW), "It signs soon."),
        (DkimKey(state="pending", method="cname"), "Is being published behind your CNAME"),
        (DkimKey(state="active", method="txt", activated_at=NOW), "you are told its record"),
    ],
)
def test_what_happens_next(key: DkimKey, said: str) -> None:
    domain = Domain(name="example.com", verified_at=NOW, dkim_method="txt")
    assert said in happens(domain, key, OWN, NOW)


def test_behind_cnames_and_without_rotation() -> None:
    key = DkimKey(state="active", method="cname", activated_at=NOW)
    domain = Domain(name="example.com", verified_at=NOW, dkim_method="cname")
    assert "The next one takes over by itself." in happens(domain, key, OWN, NOW)
    old = DkimKey(state="retiring", method="cname", remove_at=NOW)
    assert "We keep it published until" in happens(domain, old, OWN, NOW)
    never = Dkim(rotate_months=0)
    assert happens(domain, key, never, NOW) == "Signs until you rotate it."
