"""A message on its way through the milter's verdict, with everything around it invented."""

from __future__ import annotations

from datetime import UTC, datetime

from franking.accounts.rules import Rules
from franking.domains import dkim
from franking.mail.authority import Authority, Funds, SigningDomain, SigningKey
from franking.money.pricing import Tariff, Tier
from franking.money.terms import Terms
from milterd.message import Message
from milterd.verdict import Changes, Client, Lookups, Refusal, Relay

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
RELAY = Relay("n1", "X-Franking-Tags", 10_000, 50, 1_000_000)
CLIENT = Client("frank_a", "PLAIN", "192.0.2.1", "client.example", "TLSv1.3 X")
TARIFF = Tariff(3, (Tier(0, 800),))
AUTHORITY = Authority(
    1, "active", None, 7, False, "live", "default", [], Rules(), Terms(), TARIFF, Funds(10_000)
)
PRIVATE, PUBLIC = dkim.generate()
KEY = dkim.load(PRIVATE)
DOMAIN = SigningDomain(5, "example.com", (SigningKey(9, "s1", dkim.RSA, b""),))
RECORDS = {"s1._domainkey.example.com": f"v=DKIM1; k=rsa; p={PUBLIC}"}

Headers = list[tuple[bytes, bytes]]
FROM = (b"From", b" Shop <shop@example.com>")


def lookups(authority: Authority | None = AUTHORITY) -> Lookups:
    return Lookups(
        authority=lambda username: authority if username == "frank_a" else None,
        signing_domain=lambda _account, name: DOMAIN if name == "example.com" else None,
        private_key=lambda _domain, _key: KEY,
        suppressed=lambda _account, _addresses, _domain, _stream: {},
    )


def message(
    headers: Headers,
    body: bytes = b"hello\r\n",
    *,
    client: Client = CLIENT,
    recipients: tuple[bytes, ...] = (b"<r@dest.example>",),
    sender: bytes = b"<bounce@example.com>",
    relay: Relay = RELAY,
    parameters: tuple[bytes, ...] = (),
) -> Message:
    made = Message(relay, client, sender, parameters, lambda _username: True)
    for recipient in recipients:
        made.recipient(recipient)
    for name, value in headers:
        made.header(name, value)
    made.body(body)
    return made


def accepted(made: Message) -> Changes:
    verdict = made.judge(lookups(), "QID", NOW)
    assert isinstance(verdict, Changes), verdict
    return verdict


def refused(made: Message, authority: Authority | None = AUTHORITY) -> str:
    verdict = made.judge(lookups(authority), "QID", NOW)
    assert isinstance(verdict, Refusal)
    assert verdict.authority == (authority if made is not None else None)
    return f"{verdict.reply.code} {verdict.reply.enhanced} {verdict.reply.text}"
