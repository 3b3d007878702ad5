"""What a notice says: complete, without what is missing, and with what others wrote into it."""

from __future__ import annotations

from typing import Any

import pytest

from franking.notices import texts
from franking.notices.kinds import KINDS

PAGES = {
    "domain.": "domains", "dkim.": "domains", "dmarc.": "domains", "endpoint.": "webhooks",
    "delivery.": "domains",
}  # fmt: skip
EUR = {"account": "acme", "currency": "EUR"}


@pytest.mark.parametrize(
    ("kind", "detail", "sentence"),
    [
        (
            "balance.low",
            {"available": 1_200_000, "messages_left": 1200, "days_left": 1.6},
            "The balance is low: 1.20 EUR left, about 1,200 messages,"
            " about 2 days at the last 7 days' use.",
        ),
        (
            "balance.low",
            {"available": 1_200_000, "messages_left": 1, "days_left": 0.2},
            "The balance is low: 1.20 EUR left, about 1 message,"
            " less than a day at the last 7 days' use.",
        ),
        ("balance.low", {"available": 0}, "The balance is low: 0.00 EUR left."),
        (
            "balance.exhausted",
            {"available": -5_000},
            "The balance does not pay for another message: -0.005 EUR left.",
        ),
        (
            "balance.restored",
            {"available": 10_000_000, "messages_left": 10_000, "days_left": None},
            "The balance pays for mail again: 10.00 EUR, about 10,000 messages.",
        ),
        (
            "deposit.paid",
            {"amount": 50_000_000, "reference": "D-1", "automatic": False},
            "A deposit of 50.00 EUR was credited (reference D-1).",
        ),
        (
            "deposit.paid",
            {"amount": 50_000_000, "automatic": True},
            "An automatic top-up of 50.00 EUR was credited.",
        ),
        (
            "deposit.reversed",
            {"amount": 50_000_000, "reference": "D-1", "reason": "disputed"},
            "A deposit of 50.00 EUR was taken back (reference D-1) (disputed).",
        ),
        (
            "topup.failed",
            {"amount": 20_000_000, "reason": "card declined", "switched_off": True},
            "The card could not be charged 20.00 EUR: card declined; automatic top-up is now off.",
        ),
        (
            "invoice.issued",
            {"number": "2026-0007", "period": "2026-06", "total": 11_900_000},
            "Invoice 2026-0007 for 2026-06 says 11.90 EUR.",
        ),
        (
            "cap.reached",
            {"cap": 5_000_000, "day": "2026-07-14"},
            "The spending cap of a day, 5.00 EUR, was reached on 2026-07-14.",
        ),
        (
            "cap.reached",
            {"cap": 5_000_000, "credential": "frank_ab"},
            "The spending cap of the credential frank_ab, 5.00 EUR, was reached.",
        ),
        (
            "endpoint.failing",
            {"url": "https://example.com/x", "since": "Monday", "until": "Thursday"},
            "The webhook endpoint https://example.com/x has taken nothing since Monday."
            " If that goes on until Thursday, we stop.",
        ),
        (
            "endpoint.paused",
            {"url": "https://example.com/x", "reason": "it answered 410 Gone"},
            "The webhook endpoint https://example.com/x gets nothing any more:"
            " it answered 410 Gone.",
        ),
        (
            "delivery.misconfigured",
            {"domain": "a.test", "category": "auth_policy", "reply": "550 5.7.26 no\nway"},
            "A receiver has refused mail from a.test because of its authentication:"
            " 550 5.7.26 no way",
        ),
    ],
)
def test_sentences(kind: str, detail: dict[str, Any], sentence: str) -> None:
    assert texts.sentence(kind, {**EUR, **detail}) == sentence


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_all_texts_and_needs_no_detail(kind: str) -> None:
    assert kind in texts.TITLES and kind in texts.ADVICE
    assert texts.sentence(kind, {}).endswith(".")
    written = texts.mail(kind, {}, brand="Franking", panel_url="https://panel.example.net")
    assert written.subject == f"Franking: {texts.TITLES[kind]}"
    page = next((page for about, page in PAGES.items() if kind.startswith(about)), "billing")
    assert f"https://panel.example.net/{page}" in written.text


def test_a_kind_of_another_version_is_shown_as_it_is() -> None:
    assert texts.sentence("later.kind", {}) == "later.kind"


def test_what_others_wrote_stays_in_its_place() -> None:
    """A payment provider's reason, and whatever became of a name."""
    hostile = {
        "account": "acme\r\nBcc: everybody@example.net",
        "amount": 1_000_000,
        "currency": "EUR",
        "reason": "<script>alert(1)</script>\r\n\r\nHello",
    }
    written = texts.mail("topup.failed", hostile, brand="Franking", panel_url="https://p.test")
    assert "\n" not in written.subject and "\r" not in written.subject
    assert "<script>" not in written.html and "&lt;script&gt;" in written.html
    assert written.text.splitlines()[0].endswith("Hello.")
