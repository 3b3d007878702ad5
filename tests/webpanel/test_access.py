"""Who gets which page: every route is taken from the application, so a new one is tested too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from franking.db import utcnow
from tests.webpanel.conftest import browser
from tests.webpanel.seed import QUEUE_ID, Seed
from webpanel.access import is_public

SIGNED = {"payments.stripe", "payments.btcpay"}  # webhooks: see test_webhooks.py
# The token in the address is checked: see test_unsubscribe.py.
LINKS = {"unsubscribe.ask", "unsubscribe.take", "unsubscribe.undo"}
PUBLIC = {
    "replies.index", "replies.show", "help.index", "help.show", "health.alive", "health.ready"
}  # fmt: skip


def _own(app: Flask) -> Iterator[Rule]:
    """The panel's routes: neither static files nor Flask-Security's."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and not rule.endpoint.startswith("security."):
            yield rule


def _path(app: Flask, rule: Rule, seed: Seed) -> str:
    """A path of this route that names something of the seeded account."""
    values = {
        "delivery": seed.delivery,
        "hook": seed.hook,
        "key": "temporary",
        "name": "example.com",
        "number": seed.invoice,
        "period": f"{utcnow():%Y-%m}",
        "queue_id": QUEUE_ID,
        "reference": seed.deposit,
        "token": "forged",
        "topic": "dns",
        "username": seed.credential.credential.username,
    }
    with app.test_request_context():
        return url_for(rule.endpoint, **{name: values[name] for name in rule.arguments})


def _methods(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def test_only_these_are_public(app: Flask) -> None:
    with app.app_context():
        assert {r.endpoint for r in _own(app) if is_public(r.endpoint)} == PUBLIC | SIGNED | LINKS


def test_nobody_is_sent_to_the_login(app: Flask, seed: Seed, nobody: FlaskClient) -> None:
    for rule in _own(app):
        for method in _methods(rule):
            answer = nobody.open(_path(app, rule, seed), method=method)
            if rule.endpoint in PUBLIC:
                assert answer.status_code == 200, rule
            elif rule.endpoint in SIGNED:
                assert answer.status_code == 404, rule  # no provider is set up
            elif rule.endpoint in LINKS:
                assert answer.status_code == 404, rule  # forged
            else:
                assert answer.status_code == 302, rule
                assert answer.location.startswith("/login"), rule


def test_what_is_anothers_does_not_exist(app: Flask, seed: Seed, theirs: FlaskClient) -> None:
    seen = 0
    for rule in _own(app):
        if not rule.arguments & {"hook", "name", "number", "queue_id", "reference", "username"}:
            continue
        for method in _methods(rule):
            assert theirs.open(_path(app, rule, seed), method=method).status_code == 404, rule
            seen += 1
    assert seen >= 20


def test_lists_hold_nothing_of_others(seed: Seed, theirs: FlaskClient) -> None:
    username = seed.credential.credential.username
    lists = ("/", "/domains", "/credentials", "/messages", "/refused", "/webhooks")
    for path in (*lists, f"/messages?credential={username}"):
        page = theirs.get(path)
        assert page.status_code == 200
        for foreign in (
            QUEUE_ID,
            "evil.test",
            "anna@example.org",
            "/domains/example.com",
            "hooks.ex",
        ):
            assert foreign not in page.text, path
    assert username not in theirs.get("/credentials").text


def test_every_post_needs_a_token(strict: Flask, seed: Seed) -> None:
    strict.config["WTF_CSRF_ENABLED"] = False  # to log in
    client = browser(strict, "demo@franking.test")
    strict.config["WTF_CSRF_ENABLED"] = True
    posts = [r for r in strict.url_map.iter_rules() if "POST" in (r.methods or ())]
    assert {"credentials.create", "credentials.revoke", "security.login", "security.logout"} <= {
        r.endpoint for r in posts
    }
    for rule in (r for r in posts if r.endpoint not in SIGNED | LINKS):
        answer = client.post(_path(strict, rule, seed))
        assert answer.status_code == 400, rule
        assert "out of date" in answer.text


@pytest.mark.parametrize("client_name", ["nobody", "mine"])
def test_headers(request: pytest.FixtureRequest, client_name: str) -> None:
    client: FlaskClient = request.getfixturevalue(client_name)
    for path in ("/", "/login", "/messages", "/nonsense", "/static/app.css", "/healthz"):
        with client.get(path) as answer:  # a static file stays open else
            headers = answer.headers
        assert "default-src 'self'" in headers["Content-Security-Policy"], path
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" in headers
    assert client.get("/messages").headers["Cache-Control"] == "no-store"


def test_no_page_has_inline_script_or_style(mine: FlaskClient, nobody: FlaskClient) -> None:
    own = (
        "/", "/credentials", "/messages", f"/messages/{QUEUE_ID}", "/domains", "/webhooks",
        "/webhooks/1", "/webhooks/1/settings", "/webhooks/1/deliveries/1",
        *(f"/domains/example.com{page}" for page in ("", "/dkim", "/dmarc", "/deliverability")),
    )  # fmt: skip
    open_to_all = ("/login", "/e/temporary", "/help", "/help/dns")
    for page in [*map(mine.get, own), *map(nobody.get, open_to_all)]:
        assert page.status_code == 200
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert page.text.count("<script") == page.text.count("<script src=")
