"""Accounting files as a customer sees them, in Chromium."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy.orm import Session

from franking.accounting import access
from franking.accounting.files import name_of
from franking.accounting.models import AccountingFile
from franking.accounts.models import User
from tests.browser import seed
from tests.browser.conftest import Panel, Populate, Visitor
from tests.browser.fitting import LOOKS, assert_fits, is_wide, keep
from tests.browser.seed import Seeded

pytestmark = [pytest.mark.browser, pytest.mark.rest]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"
SETTINGS = """
[accounting]
directory = "/var/lib/franking/accounting"
sftp_host = "logs.franking.example"
sftp_host_keys = ["SHA256:1OnF9dKkL5QmWbZ3yq8v1s7o3gJ5x8y2h6m4n0p9r1c (ED25519)"]
"""
FILES = 60


def _filled(session: Session, now: datetime) -> Seeded:
    """Two days of files, and a key of a laptop."""
    seeded = seed.populate(session, now)
    account = session.query(User).filter_by(email=seed.EMAIL).one().account
    for number in range(1, FILES + 1):
        at = now - timedelta(hours=FILES - number)
        for form in ("jsonl", "csv"):
            session.add(
                AccountingFile(
                    account_id=account.id, format=form, sequence=number, hour=at,
                    name=name_of(at, number, form, "gzip"), size=321 * number**2, sha256="0" * 64,
                    events=7 * number**2, first_event_id=1, last_event_id=1, created_at=at,
                )
            )  # fmt: skip
    access.add_key(session, account, f"{KEY} mara@laptop", prefix="frank", now=now)
    return seeded


@pytest.fixture(scope="module")
def populate() -> Populate:
    return _filled


@pytest.fixture(scope="module")
def more_settings() -> str:
    return SETTINGS


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits(look: str, browser: Browser, panel: Panel) -> None:
    pages = {"accounting": "/accounting", "accounting-older": "/accounting?before=11"}
    assert_fits(browser, panel, look, [(seed.EMAIL, "", pages)])


def test_a_password(customer: Visitor) -> None:
    """Shown once; a reload leads back instead of making another."""
    page = customer.page
    customer.open("/accounting")
    page.get_by_role("button", name="Make a password").click()
    shown = page.locator("#new-password")
    assert len(shown.inner_text()) == access.PASSWORD_LENGTH
    keep(page, "accounting-password", "light")
    assert not is_wide(page)
    page.reload()
    expect(page).to_have_url(customer.panel.url + "/accounting")
    expect(page.get_by_role("button", name="New password")).to_be_visible()
    page.get_by_role("button", name="Remove password").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_contain_text("The password is removed")


def test_a_wrong_key(customer: Visitor) -> None:
    customer.open("/accounting")
    page = customer.page
    page.get_by_label("Public key").fill("ssh-ed25519 AAAA")
    with page.expect_response(lambda answer: answer.status == 400):
        page.get_by_role("button", name="Add key").click()
    expect(page.locator("#key-error")).to_contain_text("not of the type")
    keep(page, "accounting-wrong-key", "light")
    customer.trouble.clear()  # a 400 is what was wanted
