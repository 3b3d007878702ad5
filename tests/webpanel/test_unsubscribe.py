"""`/u/<token>` as mail programs (RFC 8058), link checkers and people ask for it: CSRF is on."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from franking.accounts.models import Credential
from franking.db import Database, utcnow
from franking.mail.models import Event, Suppression
from franking.mail.unsubscribing import Tokens
from tests import factories
from tests.webpanel.seed import QUEUE_ID, Seed

TOKENS = Tokens(factories.MASTER_KEY)
NEWS = "4gDmcX3y9Gz1sKp"
TOKEN = TOKENS.token(NEWS)
FORGED = Tokens(bytes(32)).token(NEWS)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def mailer(strict: Flask, database: Database, seed: Seed) -> FlaskClient:
    """Knows nothing but the message, which went to anna@example.org in the stream `news`."""
    with database.transaction() as session:
        username = seed.credential.credential.username
        session.query(Credential).filter_by(username=username).one().stream = "news"
        factories.message(session, username, seed.domain_id, NEWS, utcnow())
    return strict.test_client(use_cookies=False)


def left_out(database: Database) -> list[tuple[str, str, str]]:
    with database.session() as session:
        rows = session.scalars(select(Suppression))
        return [(r.address, f"{r.scope}:{r.scope_name}", r.reason) for r in rows]


def events(database: Database) -> list[Event]:
    with database.session() as session:
        return list(session.scalars(select(Event).where(Event.kind == "unsubscribed")))


ANNA = [("anna@example.org", "stream:news", "unsubscribe")]


@pytest.mark.parametrize(
    "body",
    [
        {"data": ONE_CLICK},
        {"data": ONE_CLICK, "content_type": "multipart/form-data"},
        {"data": b"List-Unsubscribe=One-Click", "content_type": "text/plain"},
        {},
    ],
    ids=["urlencoded", "multipart", "another type", "no body"],
)
def test_a_mail_program_posts(
    mailer: FlaskClient, database: Database, body: dict[str, str]
) -> None:
    """No login, cookie, form token or redirect (RFC 8058 §3.2); as often as it likes."""
    for _ in range(2):
        answer = mailer.post(f"/u/{TOKEN}", **body)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
    assert left_out(database) == ANNA
    (unsubscribed,) = events(database)
    assert unsubscribed.recipient == "anna@example.org"
    assert unsubscribed.detail == {"by": "one-click"}


def test_the_address_in_capitals(mailer: FlaskClient, database: Database) -> None:
    assert mailer.post(f"/u/{TOKEN.upper()}", data=ONE_CLICK).status_code == 200
    assert left_out(database) == ANNA


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [f"/u/{TOKEN}", f"/u/{TOKEN}/undo"])
def test_only_post_acts(mailer: FlaskClient, database: Database, method: str, path: str) -> None:
    """Programs that check or show links follow all of them."""
    mailer.open(path, method=method)
    assert (left_out(database), events(database)) == ([], [])
    mailer.post(f"/u/{TOKEN}")
    mailer.open(path, method=method)
    assert left_out(database) == ANNA


def pressed(page: str) -> str:
    """Where the page's only form leads."""
    (action,) = re.findall(r'<form method="post" action="([^"]+)">', page)
    return str(action)


def test_a_person_asks_presses_and_takes_it_back(mailer: FlaskClient, database: Database) -> None:
    page = mailer.get(f"/u/{TOKEN}")
    assert page.status_code == 200
    assert "a…@example.org" in page.text and "hello@example.com" in page.text
    assert "anna@" not in page.text
    assert "Set-Cookie" not in page.headers
    assert "noindex" in page.text
    done = mailer.post(pressed(page.text), data={"page": "yes"})
    assert "You are unsubscribed" in done.text
    assert left_out(database) == ANNA
    assert events(database)[0].detail == {"by": "page"}
    assert "You are unsubscribed" in mailer.get(f"/u/{TOKEN}").text
    undone = mailer.post(pressed(done.text), data={"page": "yes"})
    assert "subscribed again" in undone.text
    assert left_out(database) == []
    mailer.post(pressed(undone.text), data={"page": "yes"})
    assert left_out(database) == ANNA
    assert len(events(database)) == 1


@pytest.mark.parametrize("token", [FORGED, "x", TOKEN[:-1], "%C3%A9" * 20, "a" * 500])
def test_a_forged_one_is_not_looked_up(mailer: FlaskClient, database: Database, token: str) -> None:
    asked: list[str] = []
    engine = mailer.application.extensions["franking.database"].engine
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/undo")):
        answer = mailer.open(f"/u/{token}{path}", method=method)
        assert answer.status_code == 404
        assert "not complete" in answer.text
    assert asked == []
    assert left_out(database) == []


@pytest.mark.parametrize("queue_id", ["4gDmcX3y9Gz1sKq", QUEUE_ID], ids=["gone", "to several"])
def test_what_is_not_kept_any_more(mailer: FlaskClient, database: Database, queue_id: str) -> None:
    token = TOKENS.token(queue_id)
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/undo")):
        answer = mailer.open(f"/u/{token}{path}", method=method)
        assert answer.status_code == 410
        assert "too old" in answer.text
    assert left_out(database) == []


def test_the_page_says_nothing_of_the_service(mailer: FlaskClient) -> None:
    """Who reads it is a customer's customer: there is nothing to log in to."""
    for page in (mailer.get(f"/u/{TOKEN}"), mailer.post(f"/u/{TOKEN}"), mailer.get(f"/u/{FORGED}")):
        assert "<a " not in page.text
        assert " style=" not in page.text
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["Cache-Control"] == "no-store"
