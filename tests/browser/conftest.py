"""A panel of its own under gunicorn, a browser, and a visitor who writes down all trouble.

Playwright's synchronous API keeps an event loop running in this thread; it is stopped with the
module, or the asyncio tests after it could not start theirs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)
from sqlalchemy.orm import Session

from franking.db import Database, utcnow
from tests import factories
from tests.browser import seed
from tests.browser.seed import Seeded

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETTINGS = """
node = "n1"
database_url = "{database}"
master_key = "{master_key}"
[panel]
url = "{url}"
secret_key = "{secret}"
secure_cookies = false
[smtp]
host = "smtp.franking.example"
"""
# Chromium says a violation on the console too; this one is there before any of the page's scripts.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`));
"""


Populate = Callable[[Session, datetime], Seeded]


@dataclass(frozen=True)
class Panel:
    url: str
    seeded: Seeded
    database: str  # its address


@pytest.fixture(scope="module")
def populate() -> Populate:
    """What is in the database; a module may have other rows."""
    return seed.populate


@pytest.fixture(scope="module")
def more_settings() -> str:
    """TOML of further sections; a module may have some."""
    return ""


@pytest.fixture(scope="module")
def panel(
    tmp_path_factory: pytest.TempPathFactory,
    empty_database: Path,
    populate: Populate,
    more_settings: str,
) -> Iterator[Panel]:
    directory = tmp_path_factory.mktemp("panel")
    shutil.copy(empty_database, directory / "franking.db")
    address = f"sqlite:///{directory}/franking.db"
    database = Database(address)
    with database.transaction() as session:
        seeded = populate(session, utcnow())
    database.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:  # bound here: no port to race for
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = directory / "franking.toml"
        text = SETTINGS.format(
            database=address, url=url, secret="s" * 32, master_key=factories.MASTER_KEY_BASE64
        )
        settings.write_text(text + more_settings)
        process = _gunicorn(listener, settings)
        try:
            yield Panel(url, seeded, address)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _gunicorn(listener: socket.socket, settings: Path) -> subprocess.Popen[bytes]:
    fd = listener.fileno()
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{fd}", "--no-control-socket"),
            *("--workers", "1", "--threads", "4", "--log-level", "warning"),
            "webpanel.wsgi:app",
        ],
        cwd=ROOT,
        pass_fds=[fd],
        env={**os.environ, "FRANKING_SETTINGS": str(settings)},
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A page, and what went wrong: console errors, exceptions, failed or foreign requests."""

    page: Page
    panel: Panel
    trouble: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(f"exception: {error}"))
        self.page.on("request", self._request)
        self.page.on("response", self._response)

    def open(self, path: str) -> None:
        self.page.goto(self.panel.url + path)

    def log_in(self, email: str = seed.EMAIL) -> None:
        self.open("/")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(seed.PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.panel.url + "/", "data:")):
            self.trouble.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.trouble.append(f"{response.status} {response.url}")


@pytest.fixture
def context(browser: Browser, panel: Panel) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.set_default_timeout(30_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=panel.url)
    context.add_init_script(REPORT_VIOLATIONS)
    yield context
    context.close()


@pytest.fixture
def visitor(context: BrowserContext, panel: Panel) -> Iterator[Visitor]:
    visitor = Visitor(context.new_page(), panel)
    yield visitor
    assert visitor.trouble == []


@pytest.fixture
def customer(visitor: Visitor) -> Visitor:
    """The visitor, logged in."""
    visitor.log_in()
    return visitor
