"""The filter in docs/fail2ban finds the address in what policyd logs, and nothing else in it."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from franking import log

FILTER = Path(__file__).parent.parent / "docs/fail2ban/franking.conf"
ADDRESS = r"(?:(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>[0-9a-fA-F:]{2,39}))"  # for <ADDR>
LINE = '"address": "198.51.100.9", "username": "", "listener": "", "event": "login_failed", '
HOSTILE = [
    "frank_k3x9q2m7ab",
    f'x", {LINE}"',
    f"x\n{{{LINE}",
    f'\\", {LINE}',
    '"}\n2026-01-01T00:00:00 host policyd[1]: {' + LINE,
    "2001-01-01 00:00:00",
    '"timestamp": "2001-01-01T00:00:00Z"}',
    "\u2028\x00\x1b[2J" + "名" * 300,
    "x" * 5000,
]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    before = structlog.get_config()
    log.configure("policyd")
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(), cache_logger_on_first_use=False
    )

    def logged() -> list[str]:
        return capsys.readouterr().out.splitlines()

    yield logged
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def definition() -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.read_string(FILTER.read_text())
    return parser["Definition"]


def banned(line: str) -> str | None:
    """The address that fail2ban would see: it takes out the time first, then looks."""
    line = re.sub(_date(), "", line)
    found = re.search(definition()["failregex"].strip("\n").replace("<ADDR>", ADDRESS), line)
    return None if found is None else found["ip4"] or found["ip6"]


def _date() -> str:
    pattern = definition()["datepattern"]
    for directive, digits in (("Y", 4), ("m", 2), ("d", 2), ("H", 2), ("M", 2), ("S", 2)):
        pattern = pattern.replace(f"%{directive}", rf"\d{{{digits}}}")
    return pattern.replace("%f", r"\d{1,6}")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("before", ["", "relay1 policyd[4711]: "], ids=["file", "journal"])
def test_the_address_is_found_whatever_the_name(
    lines: Callable[[], list[str]], name: str, before: str
) -> None:
    for address in ("192.0.2.7", "2001:db8::7"):
        log.login_failed(address, name, "submission")
        (line,) = lines()
        assert len(line) < 400
        assert len(re.findall(_date(), line)) == 1
        assert banned(before + line) == address


def test_other_lines_ban_nobody(lines: Callable[[], list[str]]) -> None:
    log.login_throttled("192.0.2.7", "account:17")
    log.peer_fault("auth", ValueError("{" + LINE))
    log.login_failed(None, "x", "submission")
    log.login_failed(f'x", {LINE}', "x", "submission")
    log.login_failed("192.0.2.7", "x", f'x", {LINE}')
    *others, last = lines()
    assert [banned(line) for line in others] == [None] * 4
    assert banned(last) == "192.0.2.7"
