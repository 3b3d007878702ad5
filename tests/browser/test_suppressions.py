"""Suppressions as a customer uses them, in Chromium."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import account as accounts
from franking.mail import suppressions
from franking.mail.models import Event
from tests.browser import seed
from tests.browser.conftest import Panel, Populate, Visitor
from tests.browser.fitting import LOOKS, assert_fits, keep
from tests.browser.seed import Seeded

pytestmark = [pytest.mark.browser, pytest.mark.rest]

EXPORTED = (
    "EmailAddress,SuppressionReason,Origin,CreatedAt\n"
    "gone@imported.example,HardBounce,Recipient,2026-01-07T14:25:45-05:00\n"
    "angry@imported.example,SpamComplaint,Recipient,2026-01-07T14:25:45-05:00\n"
    "nobody,HardBounce,Recipient,2026-01-07T14:25:45-05:00\n"
)


@pytest.fixture(scope="module")
def populate() -> Populate:
    def more(session: Session, now: datetime) -> Seeded:
        seeded = seed.populate(session, now)
        account = accounts.get(session, "shop")
        bounce = select(Event.id).where(Event.kind == "bounced").limit(1)
        cause = session.scalars(bounce).one()
        a_day = timedelta(days=1)
        suppressions.add(
            session, account, "competitor@elsewhere.example", now=now - 40 * a_day,
            note="asked by phone not to get offers", scope="domain", scope_name="shop.example",
        )  # fmt: skip
        for address, reason, stream, days in (
            ("tired.reader@inbox.example", "unsubscribe", "newsletter", 9),
            ("very.long.address.of.somebody.who.complained@mail.department.company.example",
             "complaint", "newsletter", 5),
        ):  # fmt: skip
            suppressions.add(
                session, account, address,
                reason=reason, scope="stream", scope_name=stream, now=now - days * a_day,
            )  # fmt: skip
        suppressions.add(
            session, account, "full@mailbox.example",
            reason="soft_bounce", expires_at=now + 12 * a_day, now=now - 2 * a_day,
        )  # fmt: skip
        gone = suppressions.add(
            session, account, "old.customer@mailbox.example", reason="hard_bounce", now=now
        )
        gone.event_id = cause
        return seeded

    return more


def test_one_is_found_removed_and_added_again(customer: Visitor) -> None:
    page = customer.page
    page.get_by_role("navigation").get_by_role("link", name="Suppressions").click()
    page.get_by_label("Address, or a part of one").fill("tired.reader")
    page.get_by_role("button", name="Filter").click()
    row = page.get_by_role("row", name="tired.reader@inbox.example")
    expect(row).to_contain_text("stream newsletter")
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Remove the chosen").click()
    expect(page.get_by_role("alert")).to_contain_text("asked not to be written to")
    keep(page, "suppressions-remove", LOOKS[0])
    page.get_by_role("button", name="Remove 1 entry").click()
    expect(page.get_by_role("status")).to_contain_text("1 entry is removed")
    expect(page.get_by_text("tired.reader@inbox.example")).to_have_count(0)

    page.get_by_role("link", name="Add", exact=True).click()
    added = page.locator("form#add")
    added.get_by_label("Address").fill("tired.reader@inbox.example")
    added.get_by_label("Suppressed for").select_option("stream")
    added.get_by_label("Domain or stream").fill("newsletter")
    added.get_by_role("button", name="Suppress").click()
    expect(page.get_by_role("status")).to_contain_text("is suppressed.")
    expect(page.get_by_role("row", name="tired.reader@inbox.example")).to_be_visible()


def test_a_bounce_leads_to_its_message(customer: Visitor) -> None:
    customer.open("/suppressions?reason=hard_bounce&q=old.customer")
    customer.page.get_by_role("link", name="Message 4fQ").click()
    expect(customer.page.get_by_role("heading", name="Timeline")).to_be_visible()


def test_a_file_is_looked_at_imported_and_exported(customer: Visitor, tmp_path: Path) -> None:
    page = customer.page
    file = tmp_path / "suppressions.csv"
    file.write_text(EXPORTED)
    customer.open("/suppressions")
    page.get_by_role("link", name="Import").click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("status")).to_contain_text("2 of 3 lines can be imported")
    expect(page.get_by_text("Postmark, suppressions")).to_be_visible()
    keep(page, "suppressions-checked", LOOKS[0])
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Only read it").uncheck()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("status")).to_contain_text("2 of 2 entries are new")
    customer.open("/suppressions?q=imported.example")
    expect(page.get_by_role("row", name="gone@imported.example")).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export").click()
    text = Path(downloading.value.path()).read_text()
    assert text.count("@imported.example") == 2


def test_who_chooses_nothing_is_told(customer: Visitor) -> None:
    customer.open("/suppressions")
    customer.page.get_by_role("button", name="Remove the chosen").click()
    expect(customer.page.get_by_role("status")).to_contain_text("Choose the addresses")


@pytest.mark.parametrize("look", LOOKS)
def test_everything_fits(browser: Browser, panel: Panel, look: str) -> None:
    pages = {
        "": "/suppressions",
        "-none": "/suppressions?q=nobody",
        "-import": "/suppressions/import",
    }
    assert_fits(browser, panel, look, [(seed.EMAIL, "suppressions", pages)])
