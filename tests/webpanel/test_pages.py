"""What the pages say."""

from __future__ import annotations

import html

import pytest
from flask.testing import FlaskClient

from franking.mail.catalogue import CATALOGUE
from tests.webpanel.seed import HOSTILE, QUEUE_ID, Seed


def test_overview(mine: FlaskClient) -> None:
    page = mine.get("/").text
    assert "0.9992 EUR" in page  # 1 EUR less one message
    assert "about 1,249 messages left" in page
    assert "From domain evil.test is not verified" in page
    assert "This address does not exist" in page
    assert "TLS from the first byte" in page
    for kind, count in {"accepted": 2, "delivered": 1, "deferred": 1, "bounced": 1}.items():
        assert f'id="count-{kind}">{count}<' in page


def test_a_message_tells_its_story(mine: FlaskClient) -> None:
    page = mine.get(f"/messages/{QUEUE_ID}").text
    for said in (
        "PLAIN",
        "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "192.0.2.7",
        "Checks passed",
        "0.0008 EUR",
        "Captured: the price was charged.",
        "queue file active",
        "d=example.com s=s1",
        "451 4.7.1 greylisted",
        "250 2.0.0 Ok: queued as ABC",
        "550 5.1.1 user unknown",
        "mx.example.org [198.51.100.9]",
        "5 min 5 s",
    ):
        assert said in page, said


@pytest.mark.parametrize(
    "path", ["/", "/credentials", "/messages", f"/messages/{QUEUE_ID}", "/refused"]
)
def test_hostile_text_is_only_text(mine: FlaskClient, path: str) -> None:
    page = mine.get(path).text
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page


def test_refused_explains(mine: FlaskClient) -> None:
    page = mine.get("/refused").text
    assert "550 5.7.1" in page
    assert "/e/from_not_verified" in page


@pytest.mark.parametrize("key", CATALOGUE)
def test_every_reply_has_a_public_page(nobody: FlaskClient, key: str) -> None:
    answer = nobody.get(f"/e/{key}")
    assert answer.status_code == 200
    assert html.escape(CATALOGUE[key].cause) in answer.text.replace("&#39;", "&#x27;")


def test_unknown_pages_and_replies(nobody: FlaskClient, mine: FlaskClient) -> None:
    for client in (nobody, mine):
        for path in ("/e/nonsense", "/nonsense"):
            answer = client.get(path)
            assert answer.status_code == 404
            assert "Page not found" in answer.text


def test_health(nobody: FlaskClient) -> None:
    assert nobody.get("/healthz").text == "ok\n"
    assert nobody.get("/readyz").text == "ok\n"


def test_a_suspended_account_is_told(mine: FlaskClient, seed: Seed) -> None:
    from franking.accounts.models import Account
    from tests import factories
    from webpanel.database import writing

    with mine.application.app_context(), writing() as session:
        factories.suspend(session, session.get_one(Account, seed.account_id))
    assert "This account is suspended: unpaid invoice" in mine.get("/").text
