"""Every page in every window: none is wider than it, and the pictures are for people to look at.

`FRANKING_SCREENSHOTS` names a directory that keeps the pictures: light, dark, and on a phone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import Panel, Visitor

KEPT = os.environ.get("FRANKING_SCREENSHOTS")  # read at import: the tests run without FRANKING_*
SIZES = {"light": (1280, 800), "dark": (1280, 800), "phone": (390, 844)}
LOOKS = tuple(SIZES) if KEPT else ("light", "phone")  # in the dark they are as wide as in the light

# Who, before the names of the pictures, and the paths by name.
Visit = tuple[str | None, str, Mapping[str, str]]


def window(browser: Browser, look: str) -> BrowserContext:
    width, height = SIZES[look]
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if look == "dark" else "light",
        locale="en-GB",
    )


def keep(page: Page, name: str, look: str) -> None:
    if KEPT:
        page.screenshot(path=Path(KEPT, f"{name}-{look}.png"), full_page=True)


def is_wide(page: Page) -> bool:
    """Whether it can be scrolled sideways."""
    script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(page.evaluate(script))


def assert_fits(browser: Browser, panel: Panel, look: str, visits: Sequence[Visit]) -> None:
    wide, trouble = [], []
    for email, name, pages in visits:
        context = window(browser, look)
        visitor = Visitor(context.new_page(), panel)
        if email:
            visitor.log_in(email)
        for page, path in pages.items():
            visitor.open(path)
            keep(visitor.page, f"{name}{page}", look)
            if is_wide(visitor.page):
                wide.append(f"{name}{page}")
        trouble += visitor.trouble
        context.close()
    assert wide == []
    assert trouble == []
