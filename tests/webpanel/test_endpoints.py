"""Webhooks: endpoints from creation to removal, their secrets, and who may have them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, AuditEntry
from franking.db import Database, utcnow
from franking.mail.models import EVENT_KINDS
from franking.money.terms import Terms, stored
from franking.notices.kinds import KINDS as NOTICE_KINDS
from franking.sealing import Sealer
from franking.webhooks import endpoints
from franking.webhooks.models import Endpoint
from tests import factories
from tests.webpanel.seed import HOSTILE, PASSWORD, Seed
from webpanel.endpoints import words

URL = "https://shop.example/hooks/mail"
SEALER = Sealer(factories.MASTER_KEY)


def row(database: Database, number: int) -> Endpoint:
    with database.session() as session:
        return session.get_one(Endpoint, number)


def audited(database: Database) -> list[tuple[str, dict[str, Any]]]:
    with database.session() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.detail) for entry in entries]


def created(mine: FlaskClient, **data: Any) -> tuple[int, str]:
    """The number of a new endpoint, and its secret."""
    answer = mine.post("/webhooks", data={"url": URL, "batch": "1", **data})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    secret = re.search(r'id="new-secret">([^<]+)<', answer.text)
    number = re.search(r'data-reload="/webhooks/(\d+)"', answer.text)
    assert secret is not None and number is not None
    return int(number[1]), html.unescape(secret[1])


def test_the_secret_is_shown_once_and_is_the_one_that_signs(
    mine: FlaskClient, database: Database
) -> None:
    number, secret = created(mine)
    assert endpoints.reveal(row(database, number), SEALER) == secret
    for path in ("", f"/{number}", f"/{number}/settings", f"/{number}/reveal"):
        assert secret not in mine.get(f"/webhooks{path}").text
    ((action, detail),) = audited(database)
    assert action == "endpoint.create"
    assert detail["url"] == URL and secret not in str(detail)


def test_what_it_is_restricted_to(mine: FlaskClient, database: Database, seed: Seed) -> None:
    username = seed.credential.credential.username
    number, _ = created(
        mine,
        events=["delivered", "balance.low"],
        domains=["example.com"],
        credentials=[username],
        streams=["default"],
        tags=f" spring \r\n{HOSTILE}\r\n\r\n",
        batch="20",
    )
    made = row(database, number)
    assert made.events == ["delivered", "balance.low"]
    assert (made.domains, made.credentials, made.streams) == (
        ["example.com"], [username], ["default"]
    )  # fmt: skip
    assert (made.tags, made.batch) == ([HOSTILE, "spring"], 20)
    for path in ("", f"/{number}"):
        page = mine.get(f"/webhooks{path}").text
        assert "delivered, balance.low" in page
        assert "domains: example.com" in page and "up to 20 at once" in page
        assert HOSTILE not in page
    page = mine.get(f"/webhooks/{number}/settings").text
    for name in ("delivered", "balance.low", "example.com", username, "default"):
        assert re.search(rf'checked[^>]* value="{re.escape(name)}"', page), name
    answer = mine.post(f"/webhooks/{number}/settings", data={"url": URL, "batch": "1"})
    assert answer.status_code == 302
    made = row(database, number)
    assert (made.events, made.domains, made.tags, made.batch) == ([], [], [], 1)
    assert [action for action, _ in audited(database)] == ["endpoint.create", "endpoint.change"]


@pytest.mark.parametrize(
    ("data", "field", "said"),
    [
        ({"url": ""}, "url", "Write an address"),
        ({"url": "http://shop.example/"}, "url", "must begin with https"),
        ({"url": "https://127.0.0.1/"}, "url", "not one of the public Internet"),
        ({"batch": "0"}, "batch", "from 1 to 100"),
        ({"batch": "x"}, "batch", "whole number"),
        ({"tags": "x" * 300}, "tags", "at most 250 characters"),
        ({"events": ["nonsense"]}, None, "not a valid choice"),
        ({"domains": ["evil.test"]}, "domains", "not a valid choice"),
    ],
)
@pytest.mark.parametrize("page", ["", "/{hook}/settings"])
def test_what_cannot_be(
    mine: FlaskClient, seed: Seed, *, page: str, data: Any, field: str | None, said: str
) -> None:
    whole = {"url": URL, "batch": "1"} | data
    answer = mine.post(f"/webhooks{page.format(hook=seed.hook)}", data=whole)
    assert answer.status_code == 400
    place = rf'id="{field}-error">[^<]*' if field else ""
    assert re.search(place + re.escape(said), html.unescape(answer.text))


def test_a_plan_without_webhooks(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        plan = session.get_one(Account, seed.account_id).plan
        plan.terms = stored(Terms(features=("api",)))
    page = mine.get("/webhooks").text
    assert "Your plan has no webhooks" in page
    assert "New endpoint" not in page
    assert "hooks.example" in page
    answer = mine.post("/webhooks", data={"url": URL, "batch": "1"})
    assert answer.status_code == 400


def test_no_more_than_there_may_be(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with database.transaction() as session:
        owner = session.get_one(Account, seed.account_id)
        for _ in range(endpoints.MOST - 1):
            session.add(Endpoint(account_id=owner.id, url=URL, sealed_secret=b""))
    assert "New endpoint" not in mine.get("/webhooks").text
    assert mine.post("/webhooks", data={"url": URL, "batch": "1"}).status_code == 400


def test_a_new_secret_beside_the_old(mine: FlaskClient, database: Database, seed: Seed) -> None:
    path = f"/webhooks/{seed.hook}"
    answer = mine.post(f"{path}/rotate", data={"days": "3"})
    assert answer.status_code == 201
    made = row(database, seed.hook)
    new, old = endpoints.secrets_of(made, SEALER, utcnow())
    assert new in html.unescape(answer.text) and old not in html.unescape(answer.text)
    assert made.previous_until is not None
    left = made.previous_until - utcnow()
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    assert "The secret before it signs, too" in mine.get(f"{path}/settings").text
    mine.post(f"{path}/rotate", data={"days": "0"})
    assert len(endpoints.secrets_of(row(database, seed.hook), SEALER, utcnow())) == 1
    assert "signs, too" not in mine.get(f"{path}/settings").text
    for days in ("", "x", "-1", "31"):
        refused = mine.post(f"{path}/rotate", data={"days": days})
        assert refused.status_code == 400
        assert 'id="days-error"' in refused.text
    assert [action for action, _ in audited(database)] == ["endpoint.rotate"] * 2


def test_it_is_shown_again_after_the_password(
    mine: FlaskClient, database: Database, seed: Seed
) -> None:
    path = f"/webhooks/{seed.hook}/reveal"
    secret = endpoints.reveal(row(database, seed.hook), SEALER)
    for password in ("", "wrong"):
        answer = mine.post(path, data={"password": password})
        assert answer.status_code == 400
        assert secret not in html.unescape(answer.text)
    assert audited(database) == []
    answer = mine.post(path, data={"password": PASSWORD})
    assert secret in html.unescape(answer.text)
    assert answer.headers["Cache-Control"] == "no-store"
    assert audited(database) == [("endpoint.reveal", {"id": seed.hook})]


def test_disabled_enabled_removed(mine: FlaskClient, database: Database, seed: Seed) -> None:
    path = f"/webhooks/{seed.hook}"
    page = mine.post(f"{path}/disable", follow_redirects=True).text
    assert "is given up" in page and "Disabled" in page
    assert "Send a test event" not in page and "Send again" not in page
    assert endpoints.standing_of(row(database, seed.hook)) == "disabled"
    answer = mine.post(f"{path}/enable")
    disabled = re.search(r"\?since=(\d{4}-\d\d-\d\dT\d\d:\d\d)#again", answer.location)
    assert disabled is not None
    page = mine.get(answer.location).text
    assert "is enabled" in page
    assert f'value="{disabled[1]}"' in page
    assert endpoints.standing_of(row(database, seed.hook)) == "active"
    page = mine.post(f"{path}/remove", follow_redirects=True).text
    assert "is removed" in page and "hooks.example" not in page
    assert mine.get(path).status_code == 404
    actions = [action for action, _ in audited(database)]
    assert actions == ["endpoint.disable", "endpoint.enable", "endpoint.remove"]


def _failing(row: Endpoint, _session: Session) -> None:
    row.failing_since = utcnow() - timedelta(hours=5)


def _paused(row: Endpoint, session: Session) -> None:
    endpoints.close(session, row, endpoints.TOOK_NOTHING, utcnow())


@pytest.mark.parametrize(
    ("trouble", "badge", "said"),
    [
        (_failing, "failing", "It has taken nothing since"),
        (_paused, "paused", f"because {endpoints.TOOK_NOTHING}"),
    ],
    ids=["failing", "paused"],
)
def test_trouble_is_said(
    mine: FlaskClient,
    database: Database,
    seed: Seed,
    *,
    trouble: Callable[[Endpoint, Session], None],
    badge: str,
    said: str,
) -> None:
    with database.transaction() as session:
        trouble(session.get_one(Endpoint, seed.hook), session)
    assert f">{badge}</span>" in mine.get("/webhooks").text
    page = mine.get(f"/webhooks/{seed.hook}").text
    assert f">{badge}</span>" in page and said in page


@pytest.mark.parametrize("number", [0, 999, 1 << 63, 1 << 70])
def test_numbers_that_nothing_has(mine: FlaskClient, seed: Seed, number: int) -> None:
    assert mine.get(f"/webhooks/{number}").status_code == 404
    assert mine.get(f"/webhooks/{seed.hook}/deliveries/{number}").status_code == 404
    assert mine.post(f"/webhooks/{number}/test").status_code == 404


def test_every_kind_is_explained() -> None:
    assert set(words.MAIL) == set(EVENT_KINDS)
    assert set(words.ACCOUNT) == set(NOTICE_KINDS)
