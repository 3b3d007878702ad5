"""Which messages get links to unsubscribe, and whether the signature covers them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from franking.mail.authority import Authority
from franking.mail.unsubscribing import Tokens
from franking.settings import Panel, Settings, SettingsError
from milterd.message import Message
from milterd.unsubscribe import Links
from milterd.verdict import Changes
from tests import verifiers
from tests.factories import MASTER_KEY
from tests.milterd.offered import AUTHORITY, FROM, NOW, RECORDS, RELAY, Headers, lookups, message

TOKENS = Tokens(MASTER_KEY)
LINKS = Links(TOKENS, "https://panel.example.net", "b.example.net")
BULK = replace(AUTHORITY, bulk=True)
QUEUE_ID = "4gDmcX3y9Gz1sKp"
TOKEN = TOKENS.token(QUEUE_ID)
HEADERS: Headers = [FROM, (b"Subject", b" News"), (b"To", b" r@dest.example")]
OWN = (b"List-Unsubscribe", b" <https://shop.example/bye>")


def offered(
    headers: Headers = HEADERS,
    *,
    links: Links | None = LINKS,
    recipients: tuple[bytes, ...] = (b"<r@dest.example>",),
) -> Message:
    return message(headers, relay=replace(RELAY, unsubscribe=links), recipients=recipients)


def added(made: Message, authority: Authority = BULK) -> dict[str, str]:
    changes = judged(made, authority)
    fields = {name.decode(): value.decode() for name, value in changes.add}
    return {name: text for name, text in fields.items() if name.startswith("List-")}


def judged(made: Message, authority: Authority = BULK) -> Changes:
    verdict = made.judge(lookups(authority), QUEUE_ID, NOW)
    assert isinstance(verdict, Changes), verdict
    return verdict


def test_bulk_mail_to_one_gets_both_fields() -> None:
    assert added(offered()) == {
        "List-Unsubscribe": f" <https://panel.example.net/u/{TOKEN}>,"
        f"\r\n <mailto:unsubscribe+{TOKEN}@b.example.net>",
        "List-Unsubscribe-Post": " List-Unsubscribe=One-Click",
    }


def test_the_same_address_twice_is_one() -> None:
    twice = (b"<r@dest.example>", b"<R@dest.example>")
    assert "List-Unsubscribe" in added(offered(recipients=twice))


@pytest.mark.parametrize(
    ("made", "authority"),
    [
        (offered(), AUTHORITY),
        (offered(recipients=(b"<r@dest.example>", b"<s@dest.example>")), BULK),
        (offered([*HEADERS, OWN]), BULK),
        (offered([*HEADERS, (b"list-UNSUBSCRIBE", b" <mailto:bye@shop.example>")]), BULK),
        (offered([*HEADERS, OWN, (b"List-Unsubscribe-Post", b" x")]), BULK),
        (offered(links=None), BULK),
    ],
    ids=["not bulk", "two recipients", "own link", "own address", "own one-click", "no links"],
)
def test_who_gets_none(made: Message, authority: Authority) -> None:
    assert added(made, authority) == {}


def test_what_cannot_be_in_a_header(settings: Settings) -> None:
    assert Links.of(settings).panel_url == settings.panel.url
    foreign = settings.model_copy(update={"panel": Panel(url="https://bücher.example")})
    with pytest.raises(SettingsError, match="xn--"):
        Links.of(foreign)


def test_without_a_bounce_domain_there_is_no_address() -> None:
    fields = added(offered(links=replace(LINKS, bounce_domain="")))
    assert fields["List-Unsubscribe"] == f" <https://panel.example.net/u/{TOKEN}>"


def test_one_click_takes_https() -> None:
    fields = added(offered(links=replace(LINKS, panel_url="http://127.0.0.1:8025")))
    assert f"<http://127.0.0.1:8025/u/{TOKEN}>" in fields["List-Unsubscribe"]
    assert "List-Unsubscribe-Post" not in fields


def written(headers: Headers) -> bytes:
    return b"".join(name + b":" + value + b"\r\n" for name, value in headers)


def test_two_verifiers_say_that_the_signature_covers_both_fields() -> None:
    """Left out, or doubled by somebody on the way, neither would count any more (RFC 8058 §4)."""
    changes = judged(offered())
    signature = (b"DKIM-Signature", changes.signatures[0])
    ours = [field for field in changes.add if field[0].startswith(b"List-")]
    assert len(ours) == 2
    variants = [
        changes.add,
        *([each for each in changes.add if each != field] for field in ours),
        *([*changes.add, (name, b" <https://evil.example/>")] for name, _ in ours),
    ]
    messages = [written([signature, *HEADERS, *fields]) + b"\r\nhello\r\n" for fields in variants]
    expected = [True, False, False, False, False]
    assert [verifiers.dkimpy(each, RECORDS) for each in messages] == [[good] for good in expected]
    assert [not said for said in verifiers.opendkim(messages, RECORDS)] == expected
