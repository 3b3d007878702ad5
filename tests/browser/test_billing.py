"""Billing as a customer uses it, in Chromium; the card payments' provider is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import seed, seed_billing
from tests.browser.conftest import Panel, Populate, Visitor
from tests.browser.fitting import LOOKS, assert_fits
from tests.payments import stripe_server
from tests.payments.stripe_server import StripeServer

pytestmark = [pytest.mark.browser, pytest.mark.rest]

PAGES = {
    "billing": "/billing",
    "billing-ledger": "/billing/ledger",
    "billing-usage": "/billing/usage",
    "billing-usage-tags": "/billing/usage?days=90&by=tag&show=messages",
    "billing-deposits": "/billing/deposits?amount=25",
    "billing-statements": "/billing/statements",
    "billing-statement": "/billing/statements/{month}",
    "billing-payment": "/payments/{pending}",
    "billing-settings": "/billing/settings",
    "billing-notices": "/billing/notices",
    "overview": "/",
    "message": "/messages/{newest}",
}
OVERDRAWN = {"billing": "/billing", "overview": "/"}
FRESH = {
    "billing": "/billing",
    "billing-ledger": "/billing/ledger",
    "billing-usage": "/billing/usage",
    "billing-settings": "/billing/settings",
}


@pytest.fixture(scope="module")
def populate() -> Populate:
    return seed_billing.populate


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture(scope="module")
def more_settings(stripe: StripeServer) -> str:
    return f"""
[stripe]
secret_key = "{stripe_server.KEY}"
webhook_secret = "{stripe_server.WEBHOOK_SECRET}"
api_base = "{stripe.url}"
[deposits]
bank_transfer = "Franking Relay Services\\nIBAN DE02 1203 0000 0000 2020 51\\nBIC BYLADEM1001"
[invoices]
issuer_name = "{seed_billing.ISSUER}"
"""


VISITS = (  # who looks at which pages
    (seed.EMAIL, "", PAGES),
    (seed_billing.OVERDRAWN, "overdrawn-", OVERDRAWN),
    (seed_billing.FRESH, "fresh-", FRESH),
)


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits(look: str, browser: Browser, panel: Panel) -> None:
    ids = panel.seeded.queue_ids
    visits = [
        (email, name, {page: path.format(**ids) for page, path in pages.items()})
        for email, name, pages in VISITS
    ]
    assert_fits(browser, panel, look, visits)


@pytest.fixture
def payer(visitor: Visitor) -> Visitor:
    """The account that was just made."""
    visitor.log_in(seed_billing.FRESH)
    return visitor


def test_money_is_paid_in_and_seen(payer: Visitor, stripe: StripeServer) -> None:
    page = payer.page
    expect(page.get_by_role("main")).to_contain_text("does not cover another message")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Billing").click()
    expect(page.locator("#available")).to_have_text("0.00 EUR")
    page.get_by_role("link", name="25.00 EUR").click()
    expect(page.get_by_label("Amount", exact=True)).to_have_value("25.00")
    page.get_by_role("link", name="50.00 EUR about 62,500 messages").click()  # no page is loaded
    expect(page.get_by_label("Amount", exact=True)).to_have_value("50.00")
    page.get_by_label("Card", exact=True).check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("link", name="Pay 50.00 EUR now")).to_be_visible()
    reference = page.url.rpartition("/")[2]

    payer.open(f"/payments/{reference}?returned=1")  # as the provider sends people back
    expect(page.get_by_role("status")).to_contain_text("not confirmed yet")
    stripe.pay(reference)
    expect(page.get_by_role("status")).to_contain_text("50.00 EUR have been added", timeout=30_000)
    page.get_by_role("link", name="Billing").last.click()
    expect(page.locator("#available")).to_have_text("50.00 EUR")
    expect(page.get_by_role("row", name=reference)).to_contain_text("+50.00 EUR")


def test_caps_are_set_and_wrong_ones_explained(payer: Visitor) -> None:
    page = payer.page
    payer.open("/billing/settings")
    cap = page.locator("#cap")
    cap.get_by_label("Most that all messages").fill("12,50")
    cap.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(cap.get_by_label("Most that all messages")).to_have_value("12.50")


def test_the_chart_has_a_table(customer: Visitor) -> None:
    page = customer.page
    customer.open("/billing/usage")
    expect(page.get_by_role("img", name="Cost per day")).to_be_visible()
    page.get_by_text("The days as a table").click()
    expect(page.locator(".days tbody tr")).to_have_count(30)
    page.get_by_role("link", name="Tag", exact=True).click()
    expect(page.get_by_role("row", name="password reset")).to_be_visible()


def test_the_ledger_downloads(customer: Visitor) -> None:
    page = customer.page
    customer.open("/billing/ledger?cause=fee")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV of this filter").click()
    assert started.value.suggested_filename == "ledger-shop.csv"
    rows = Path(started.value.path()).read_text().splitlines()
    assert len(rows) == 1 + page.locator("tbody tr").count()
