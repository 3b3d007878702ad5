"""The panel as a customer uses it, in Chromium, against a gunicorn of its own.

Each test fails as well when a page wrote an error to the console, broke the content security
policy, asked another host, or got an error (`conftest.Visitor`).
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import seed
from tests.browser.conftest import Panel, Visitor
from tests.browser.fitting import LOOKS, is_wide, keep, window

pytestmark = pytest.mark.browser

PUBLIC = {
    "login": "/login",
    "errors": "/e/",
    "explained": "/e/authentication_failed",
    "unknown": "/e/no_such_reply",
}
PRIVATE = {
    "overview": "/",
    "credentials": "/credentials",
    "credential": "/credentials/{Newsletter}",
    "messages": "/messages",
    "messages-none": "/messages?recipient=nobody%40inbox.example",
    "message-bounced": "/messages/{bounced}",
    "message-greylisted": "/messages/{greylisted}",
    "message-voided": "/messages/{voided}",
    "refused": "/refused",
}


def _go_to(page: Page, area: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=area).click()


def test_a_login_is_asked_for_and_ended(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/messages")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("E-mail address").fill(seed.EMAIL)
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    visitor.log_in()
    expect(page).to_have_url(visitor.panel.url + "/")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    visitor.open("/messages")
    expect(page).to_have_url(re.compile(r"/login\?next="))


def test_the_overview_shows_balance_and_connection(customer: Visitor) -> None:
    main = customer.page.get_by_role("main")
    expect(main).to_contain_text("24.9784 EUR")  # 27 of 30 messages at 0.0008
    expect(main).to_contain_text("smtp.franking.example")


def test_a_credential_is_shown_once_copied_and_revoked(customer: Visitor) -> None:
    page = customer.page
    _go_to(page, "Credentials")
    page.get_by_role("textbox", name="Name").fill("Billing cron")
    page.get_by_role("button", name="Create").click()
    secret = page.locator("#new-secret")
    expect(secret).to_have_text(re.compile("^frank"))
    shown = secret.inner_text()

    button = page.locator('[data-copy="#new-secret"]')
    button.click()
    expect(button).to_contain_text("Copied")
    expect(page.locator("[aria-live=polite]", has_text="Copied")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()") == shown
    expect(button).not_to_contain_text("Copied")

    page.reload()
    expect(page.get_by_role("row", name="Billing cron")).to_have_count(1)
    assert shown not in page.content()

    row = page.get_by_role("row", name="Billing cron")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row.get_by_role("button", name="Revoke")).to_be_visible()
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="Billing cron")).to_contain_text(
        re.compile("revoked", re.I)
    )
    expect(row.get_by_role("button", name="Revoke")).to_have_count(0)


def test_the_secret_fits_a_phone(customer: Visitor) -> None:
    page = customer.page
    page.set_viewport_size({"width": 390, "height": 844})
    customer.open("/credentials")
    page.locator("#name").fill("From the train")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#new-secret")).to_be_visible()
    assert not is_wide(page)


def test_copying_works_without_a_secure_context(customer: Visitor) -> None:
    """A panel on plain http in a company's network: no navigator.clipboard."""
    page = customer.page
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.reload()
    button = page.locator("[data-copy]").first
    button.click()
    expect(button).to_contain_text("Copied")


def test_messages_are_filtered_and_one_is_told(customer: Visitor) -> None:
    page = customer.page
    _go_to(page, "Messages")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(30)
    page.get_by_label("Status").select_option("bounced")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("status=bounced"))
    expect(rows).to_have_count(3)
    rows.first.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"/messages/{customer.panel.seeded.queue_ids['bounced']}"))
    main = page.get_by_role("main")
    expect(main).to_contain_text("User unknown in virtual mailbox table")
    expect(main).to_contain_text("0.0008 EUR")
    expect(main).to_contain_text("d=shop.example s=f1")


def test_times_are_the_viewers(browser: Browser, panel: Panel) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
    visitor = Visitor(context.new_page(), panel)
    visitor.log_in()
    visitor.open(f"/messages/{panel.seeded.queue_ids['bounced']}")
    instant = visitor.page.locator("time[data-local]").first
    expect(instant).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d [\d:]+ UTC$"))
    utc = instant.get_attribute("title") or ""
    minute = (int(utc[14:16]) + 30) % 60  # India is at +05:30
    expect(instant).to_have_text(re.compile(rf":{minute:02d}:"))
    context.close()
    assert visitor.trouble == []


def test_refusals_lead_to_their_explanation(customer: Visitor) -> None:
    page = customer.page
    _go_to(page, "Refused")
    expect(page.get_by_role("main")).to_contain_text("Insufficient balance")
    expect(page.get_by_role("main")).to_contain_text("shop-example.com is not verified")


def test_an_explanation_needs_no_login(visitor: Visitor) -> None:
    visitor.open("/e/from_not_verified")
    expect(visitor.page.get_by_role("main")).to_contain_text("550")
    expect(visitor.page.get_by_role("main")).to_contain_text("Have the domain added")


def test_slash_goes_to_the_search_field(customer: Visitor) -> None:
    customer.open("/messages")
    customer.page.keyboard.press("/")
    expect(customer.page.locator("[data-search]")).to_be_focused()


def test_the_theme_follows_the_system_until_chosen(customer: Visitor) -> None:
    page = customer.page
    html = page.locator("html")
    page.emulate_media(color_scheme="dark")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.locator("[data-theme-toggle]:visible").first.click()
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.reload()
    expect(html).to_have_attribute("data-bs-theme", "light")


@pytest.mark.rest
@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits(look: str, browser: Browser, panel: Panel) -> None:
    """No page is wider than its window."""
    context = window(browser, look)
    wide = _look_at(context, panel, PUBLIC, look)
    Visitor(context.pages[0], panel).log_in()
    wide += _look_at(context, panel, PRIVATE, look)
    context.close()
    assert wide == []


def _look_at(context: BrowserContext, panel: Panel, paths: dict[str, str], look: str) -> list[str]:
    """Open these pages; the names of those that can be scrolled sideways."""
    page = context.pages[0] if context.pages else context.new_page()
    wide = []
    for name, path in paths.items():
        address = panel.url + path.format(**panel.seeded.queue_ids, **panel.seeded.usernames)
        page.goto(address)
        assert page.url == address
        keep(page, name, look)
        if is_wide(page):
            wide.append(name)
    return wide
