"""Credentials and the error reference as a customer uses them, in Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from franking.accounts import uses
from franking.accounts.models import Credential
from franking.db import Database, utcnow
from tests.browser.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.rest]


def _created(page: Page, name: str) -> tuple[str, str]:
    """Creates one with a limit of its own; its user name and secret."""
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_text("Advanced").click()
    page.get_by_label("Messages per minute").fill("10")
    page.get_by_label("shop.example").check()
    page.get_by_role("button", name="Create").click()
    return page.locator("#new-username").inner_text(), page.locator("#new-secret").inner_text()


def _log_in_by_smtp(address: str, username: str, secret: str, client_ip: str) -> None:
    """What policyd and milterd note of a session."""
    database = Database(address)
    with database.transaction() as session:
        row = session.query(Credential).filter_by(username=username).one()
        client = {"secret_hint": secret[-4:], "client_ip": client_ip, "at": utcnow()}
        uses.logged_in(session, row.id, listener="submission", **client)
        uses.greeted(session, row.id, helo=f"host-{client_ip[-1]}.shop.example", **client)
    database.close()


def test_a_rotation_shows_who_uses_which_secret_until_the_old_one_ends(customer: Visitor) -> None:
    page, address = customer.page, customer.panel.database
    customer.open("/credentials")
    username, old = _created(page, "Receipts")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("row", name="Receipts")).to_contain_text("1 domain, own limits")
    page.get_by_role("link", name="Receipts").click()
    expect(page.get_by_label("Messages per minute")).to_have_value("10")
    expect(page.get_by_label("shop.example")).to_be_checked()

    page.get_by_label("Days that the old secret").fill("3")
    page.get_by_role("button", name="New secret now").click()
    new = page.locator("#new-secret").inner_text()
    assert new != old
    _log_in_by_smtp(address, username, old, "203.0.113.1")
    _log_in_by_smtp(address, username, new, "203.0.113.2")
    page.reload()  # leads to the credential's page, and the secret is gone
    assert new not in page.content()
    expect(page.get_by_role("row", name="203.0.113.1")).to_contain_text(f"…{old[-4:]} previous")
    expect(page.get_by_role("row", name="203.0.113.2")).to_contain_text(f"…{new[-4:]} current")
    expect(page.get_by_role("row", name="203.0.113.2")).to_contain_text("host-2.shop.example")

    page.get_by_role("button", name="End the old one now").click()
    expect(page.get_by_role("dialog")).to_contain_text("host-1.shop.example (203.0.113.1)")
    expect(page.get_by_role("dialog")).not_to_contain_text("host-2")
    page.get_by_role("dialog").get_by_role("button", name="End it now").click()
    expect(page.get_by_role("status")).to_contain_text(f"only …{new[-4:]} works")
    expect(page.get_by_role("row", name="203.0.113.1")).to_contain_text("ended")
    expect(page.get_by_role("button", name="End the old one now")).to_have_count(0)


def test_the_error_reference_is_found_from_a_refusal(customer: Visitor) -> None:
    page = customer.page
    customer.open("/refused")
    row = page.get_by_role("row", name="may not be used from your address")
    expect(row).to_contain_text("Add the address to the credential's networks")
    row.get_by_role("link", name="What to do").click()
    expect(page).to_have_url(re.compile("/e/authentication_failed#address$"))
    expect(page.get_by_role("heading", name="this API key may not be used")).to_be_in_viewport()
    page.get_by_role("link", name="All errors").click()
    expect(page).to_have_url(re.compile("/e/#authentication_failed$"))
    rows = page.locator("tbody tr")
    expect(rows.nth(1)).to_contain_text("Insufficient balance")
    expect(rows.nth(2)).to_contain_text("Relaying temporarily denied")
