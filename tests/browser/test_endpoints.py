"""Webhooks as a customer sets them up, and links to unsubscribe as a reader uses them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from franking.db import Database
from franking.mail.models import Suppression
from franking.mail.unsubscribing import Tokens
from franking.webhooks.models import Delivery
from tests import factories
from tests.browser import seed, seed_endpoints
from tests.browser.conftest import Panel, Populate, Visitor
from tests.browser.fitting import LOOKS, assert_fits

pytestmark = [pytest.mark.browser, pytest.mark.rest]

TOKENS = Tokens(factories.MASTER_KEY)
LINK = f"/u/{TOKENS.token(seed_endpoints.NEWS)}"
PAGES = {
    "webhooks": "/webhooks",
    "webhook": "/webhooks/1",
    "webhook-failing": "/webhooks/2",
    "webhook-paused": "/webhooks/3",
    "webhook-disabled": "/webhooks/4",
    "webhook-settings": "/webhooks/1/settings",
    "webhook-settings-all": "/webhooks/2/settings",
    "webhook-reveal": "/webhooks/1/reveal",
    "webhook-delivery": "/webhooks/1/deliveries/59",
    "webhook-delivery-taken": "/webhooks/1/deliveries/1",
    "streams": "/credentials",
}
FRESH = {"webhooks-none": "/webhooks"}
OPEN = {"unsubscribe": LINK}


@pytest.fixture(scope="module")
def populate() -> Populate:
    return seed_endpoints.populate


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits(browser: Browser, panel: Panel, look: str) -> None:
    visits = [
        (seed.EMAIL, "", PAGES), (seed_endpoints.FRESH, "", FRESH), (None, "", OPEN),
    ]  # fmt: skip
    assert_fits(browser, panel, look, visits)


def test_from_a_new_endpoint_to_a_test_event(customer: Visitor) -> None:
    page = customer.page
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_label("Address").fill("https://shop.example/another")
    page.get_by_text("Only some events").click()
    page.get_by_label("bounced").check()
    page.get_by_text("Only some mail").click()
    page.get_by_label("shop.example").check()
    page.get_by_role("button", name="Create").click()
    secret = page.locator("#new-secret").inner_text()
    assert secret.startswith("whsec_")
    expect(page).to_have_url(re.compile(r"/webhooks/\d+$"))  # the address that a reload asks for
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("https://shop.example/another")
    assert secret not in page.content()
    expect(page.get_by_text("domains: shop.example")).to_be_visible()
    page.get_by_role("button", name="Send a test event").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("endpoint.test")
    expect(page.get_by_text("any moment")).to_be_visible()
    database = Database(customer.panel.database)
    with database.transaction() as session:  # the worker
        newest = select(Delivery).order_by(Delivery.id.desc()).limit(1)
        row = session.scalars(newest).one()
        row.delivered_at, row.attempts = row.created_at, 1
    database.close()
    state = page.locator("#delivery").get_by_role("status")
    expect(state).to_have_text("delivered", timeout=30_000)  # without a reload
    expect(page.get_by_text("any moment")).to_have_count(0)


def test_the_secret_again_after_the_password(customer: Visitor) -> None:
    page = customer.page
    customer.open("/webhooks/2/settings")
    page.get_by_role("link", name="Show", exact=True).click()
    page.get_by_label("Your password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Show secret").click()
    expect(page.locator("#secret")).to_have_text(re.compile("^whsec_"))


def test_ticked_deliveries_are_sent_again(customer: Visitor) -> None:
    page = customer.page
    customer.open("/webhooks/1?state=delivered")
    boxes = page.get_by_role("checkbox", name=re.compile("^Send evt_"))
    boxes.nth(0).check()
    boxes.nth(2).check()
    page.get_by_role("button", name="Send the ticked again").click()
    expect(page.get_by_role("status").first).to_contain_text("2 deliveries are sent again")


def test_a_reader_unsubscribes_and_takes_it_back(visitor: Visitor) -> None:
    page = visitor.page

    def left_out() -> int:
        database = Database(visitor.panel.database)
        with database.session() as session:
            found = len(session.scalars(select(Suppression)).all())
        database.close()
        return found

    visitor.open(LINK)
    before = left_out()
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading")).to_have_text("You are unsubscribed")
    assert left_out() == before + 1
    page.get_by_role("button", name="Subscribe again").click()
    expect(page.get_by_role("heading")).to_have_text("You are subscribed again")
    assert left_out() == before
