"""Domains as a customer uses them, in Chromium; the DNS is a server of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from franking.db import Database, utcnow
from franking.dns.lookups import Resolvers
from franking.domains import life
from franking.domains.config import Dmarc
from franking.domains.models import Domain
from franking.settings import Bounces, Settings
from tests import factories
from tests.browser import seed, seed_domains
from tests.browser.conftest import Panel, Populate, Visitor
from tests.browser.fitting import LOOKS, assert_fits
from tests.dns.fakedns import FakeDns
from tests.published import asking

pytestmark = [pytest.mark.browser, pytest.mark.rest]

LONG = seed_domains.LONG
PAGES = {
    "domains": "/domains",
    "domain-verified": "/domains/shop.example",
    "domain-cname": "/domains/news.shop.example",
    "domain-pending": f"/domains/{quote('bücher.example')}",
    "domain-failing": "/domains/forum.example",
    "domain-suspended": "/domains/lapsed.example",
    "domain-all-wrong": f"/domains/{LONG}",
    "dkim": "/domains/shop.example/dkim",
    "dkim-cname": "/domains/news.shop.example/dkim",
    "dkim-long": f"/domains/{LONG}/dkim",
    "dmarc": "/domains/shop.example/dmarc",
    "dmarc-offered": "/domains/news.shop.example/dmarc",
    "dmarc-none": f"/domains/{LONG}/dmarc",
    "deliverability": "/domains/shop.example/deliverability",
    "help": "/help",
    "help-dns": "/help/dns",
    "help-subdomains": "/help/subdomains",
    "help-deliverability": "/help/deliverability",
    "notices": "/billing/notices",
}
FRESH = {"domains": "/domains"}
OPEN = {"help": "/help", "help-dns": "/help/dns", "help-subdomains": "/help/subdomains"}


@pytest.fixture(scope="module")
def populate() -> Populate:
    return seed_domains.populate


@pytest.fixture(scope="module")
def dns() -> Iterator[FakeDns]:
    with FakeDns({"new.example": "@ MX 10 mx\nmx A 192.0.2.25"}) as server:
        yield server


@pytest.fixture(scope="module")
def more_settings(dns: FakeDns) -> str:
    return (
        f"{seed_domains.SETTINGS}"
        f'resolvers = ["{dns}"]\nauthoritative_port = {dns.port}\ntimeout = 1.0\n'
        "[deliverability]\ndomain_blocklists = []\n"
    )


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits(look: str, browser: Browser, panel: Panel) -> None:
    visits = [(None, "open-", OPEN), (seed_domains.FRESH, "fresh-", FRESH), (seed.EMAIL, "", PAGES)]
    assert_fits(browser, panel, look, visits)


def _worker_looks(panel: Panel, dns: FakeDns, name: str) -> None:
    """What `franking-worker dns` does in its turn."""
    database = Database(panel.database)
    relay = seed_domains.RELAY
    own = Settings(
        bounces=Bounces(domain=relay.bounces),
        dkim=seed_domains.DKIM,
        dmarc=Dmarc(reports=relay.reports),
    )
    settings = asking(own, dns, spf=relay.spf)
    with database.session() as session:
        found = session.scalars(select(Domain).where(Domain.name == name)).one()
    life.look_at(database, settings, Resolvers(settings.dns), found.id, utcnow())
    database.close()


def test_from_adding_to_green_to_removal(customer: Visitor, dns: FakeDns) -> None:
    page = customer.page
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Domains").click()
    page.get_by_role("textbox", name="Domain").fill("new.example")
    page.get_by_label("One TXT record").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("0 of 2 required records found.")).to_be_visible()

    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("alert").or_(page.get_by_role("status")).first).to_contain_text(
        "0 of 2 records that are required are there"
    )
    expect(page.locator("#record-r1")).to_contain_text("missing")
    page.locator("#record-r1").get_by_role("button", name="Copy the short name").click()
    assert page.evaluate("navigator.clipboard.readText()") == "_franking"

    with page.expect_download() as started:
        page.get_by_role("link", name="Zone file").click()
    assert started.value.suggested_filename == "new.example.zone"
    dns.set_zone("new.example", Path(started.value.path()).read_text())
    _worker_looks(customer.panel, dns, "new.example")
    expect(page.locator("#records")).to_contain_text(
        "2 of 2 required records found.", timeout=30_000
    )
    expect(page.locator("#records")).not_to_have_attribute("data-live", "5")
    page.reload()
    expect(page.get_by_text("verified", exact=True)).to_be_visible()

    page.get_by_role("link", name="DKIM keys").click()
    expect(page.get_by_role("row", name="active")).to_contain_text("RSA, 2,048 bits")
    page.get_by_role("button", name="New key now").click()
    page.get_by_role("dialog").get_by_role("button", name="Make a new key").click()
    expect(page.get_by_role("row", name="pending")).to_contain_text("Publish its record below")

    page.get_by_role("link", name="DMARC", exact=True).click()
    expect(page.locator("[aria-current=step]")).to_contain_text("p=none")
    expect(page.get_by_text("No reports yet")).to_be_visible()

    page.get_by_role("link", name="DNS records").click()
    page.get_by_label("Write the domain’s name").fill("new.example")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("new.example is removed")
    expect(page.get_by_role("row", name="new.example")).to_have_count(0)


def test_reports_tell_the_sources_and_a_verdict_stays(customer: Visitor) -> None:
    page = customer.page
    customer.open("/domains/shop.example/dmarc")
    expect(page.get_by_role("img", name="Messages per day")).to_be_visible()
    expect(page.locator("#obstacles")).to_contain_text("of your mail was aligned")
    row = page.get_by_role("row", name="SendGrid")
    row.get_by_role("button", name="not mine").click()
    expect(page.get_by_role("status")).to_contain_text("SendGrid: not yours")
    expect(row.get_by_role("button", name="not mine")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("heading", name="p=quarantine can come")).to_be_visible()
    expect(page.locator("#step-value")).to_contain_text("p=quarantine")


def test_a_provider_that_does_not_answer_is_no_fault(customer: Visitor, dns: FakeDns) -> None:
    page = customer.page
    customer.open("/domains/news.shop.example")
    dns.faults["."] = "refuse"
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").first).to_contain_text("The DNS did not answer")
    expect(page.get_by_text("verified", exact=True)).to_be_visible()
    dns.faults.clear()


def test_what_receivers_see(customer: Visitor, dns: FakeDns) -> None:
    page = customer.page
    customer.open("/domains/shop.example/deliverability")
    page.get_by_role("button", name="Look now").click()
    expect(page.locator("#findings")).to_contain_text("Replies (MX)")
    assert factories.PREFIX not in page.locator("#findings").inner_text()
