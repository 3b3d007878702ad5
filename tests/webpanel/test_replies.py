"""The public pages about our replies: one for each, and all on one."""

from __future__ import annotations

import html
import re

import pytest
from flask.testing import FlaskClient

from franking.db import Database, utcnow
from franking.mail import events, replies
from franking.mail.auth_reasons import AUTH_REASONS
from franking.mail.catalogue import CATALOGUE, FIRST, GROUPS
from franking.mail.replies import Reply
from tests.webpanel.seed import EMAIL, Seed


def _text(page: str) -> str:
    """What a reader can find in the page: no tags, and the backticks of the catalogue are gone."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_the_reference_has_every_reply_once() -> None:
    listed = [*FIRST, *(key for keys in GROUPS.values() for key in keys)]
    assert sorted(listed) == sorted(CATALOGUE)


def test_the_reference(nobody: FlaskClient) -> None:
    page = nobody.get("/e/").text
    said = _text(page)
    assert re.findall(r'<tr id="([a-z_]+)"', page)[:3] == list(FIRST)
    for code, text in ((535, "Authentication"), (554, "Insufficient"), (421, "Relaying")):
        assert re.search(rf"{code} [45]\.\d\.\d {text}", said)
    for key, entry in CATALOGUE.items():
        assert f'<tr id="{key}"' in page
        assert f'href="/e/{key}"' in page
        for sentence in (entry.cause, entry.fix):
            assert sentence.replace("`", "") in said, key


def test_it_shows_nothing_of_who_looks(mine: FlaskClient) -> None:
    for path in ("/e/", "/e/temporary"):
        assert EMAIL not in mine.get(path).text
    assert mine.get("/e").location.endswith("/e/")


def test_it_is_found(nobody: FlaskClient, mine: FlaskClient) -> None:
    for page in (nobody.get("/e/temporary"), mine.get("/"), mine.get("/refused")):
        assert re.search(r'href="/e/(#temporary)?"', page.text)


def test_a_failed_login_is_explained_reason_by_reason(nobody: FlaskClient) -> None:
    said = _text(nobody.get("/e/authentication_failed").text)
    for reason in AUTH_REASONS.values():
        assert reason.title in said
        assert reason.cause in said
        assert reason.fix in said
    assert AUTH_REASONS["expired"].text not in nobody.get("/e/temporary").text


def test_every_reason_of_a_failed_login_has_an_explanation() -> None:
    names = [name for name in vars(replies) if name.startswith("AUTH_")]
    said = {getattr(replies, name) for name in names if name != "AUTH_REASONS"}
    texts = {reason.text for reason in AUTH_REASONS.values()}
    assert said == texts - {AUTH_REASONS["mechanism"].text}
    assert replies.mechanism_not_offered(["PLAIN"]) == "this port takes AUTH PLAIN only"


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (replies.authentication_failed(replies.AUTH_EXPIRED), AUTH_REASONS["expired"].fix),
        (
            replies.authentication_failed(replies.mechanism_not_offered(["PLAIN", "LOGIN"])),
            AUTH_REASONS["mechanism"].fix,
        ),
        (replies.authentication_failed("of another kind"), CATALOGUE["authentication_failed"].fix),
        (replies.rate_limited("9 messages per minute", 30), CATALOGUE["rate_limited"].fix),
        (replies.relaying_denied(), CATALOGUE["relaying_denied"].fix),
        (replies.idempotency_conflict(), CATALOGUE["idempotency_conflict"].fix),
        (
            replies.recipient_suppressed("complaint", utcnow().date()),
            CATALOGUE["recipient_suppressed"].fix,
        ),
    ],
    ids=lambda value: value.text if isinstance(value, Reply) else "",
)
def test_a_refusal_comes_with_its_advice(
    mine: FlaskClient, seed: Seed, database: Database, reply: Reply, advice: str
) -> None:
    with database.transaction() as session:
        events.record_refusal(
            session,
            account_id=seed.account_id,
            credential_id=seed.credential.credential.id,
            node="n1",
            key=reply.key,
            smtp_code=reply.code,
            enhanced_code=reply.enhanced,
            text=reply.text,
            now=utcnow(),
            detail={"client_ip": "198.51.100.77", "helo": "<b>"},
        )
    page = mine.get("/refused").text
    assert "from 198.51.100.77 &lt;b&gt;" in page
    said = _text(page)
    assert f"{reply.code} {reply.enhanced} {reply.text}" in said
    assert advice.replace("`", "") in said
