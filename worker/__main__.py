"""`franking-worker COMMAND`: one process per command; SIGTERM finishes what is begun and stops."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from threading import Event
from typing import Protocol

import click

from franking import log, settings


@click.group()
def main() -> None:
    """What happens to mail after Postfix has accepted it."""


@main.command()
def maillog() -> None:
    """Settle money and record events from Postfix's log."""
    from worker.maillog.service import Service  # noqa: PLC0415 (each command loads its own)

    _run("worker.maillog", Service)


@main.command()
def housekeeping() -> None:
    """Release held mail, watch the queue, balances and books, mail notices, delete old rows."""
    from worker.housekeeping.service import Service  # noqa: PLC0415

    _run("worker.housekeeping", Service)


@main.command()
def webhooks() -> None:
    """Post what has happened to customers' endpoints."""
    from worker.webhooks.service import Service  # noqa: PLC0415

    _run("worker.webhooks", Service)


@main.command()
def accounting() -> None:
    """Write files of what has happened, for customers to fetch."""
    from worker.accounting.service import Service  # noqa: PLC0415

    _run("worker.accounting", Service)


@main.command()
def inbound() -> None:
    """Read the mail that other servers send to us: bounces, complaints, DMARC reports."""
    from worker.inbound.service import Service  # noqa: PLC0415

    _run("worker.inbound", Service)


@main.command()
def dns() -> None:
    """Look at customers' DNS records, and do what follows."""
    from worker.dns.service import Service  # noqa: PLC0415

    _run("worker.dns", Service)


class _Service(Protocol):
    def run(self) -> None: ...


def _run(name: str, service: Callable[[settings.Settings, Event], _Service]) -> None:
    try:
        own = settings.load()
    except settings.SettingsError as error:
        sys.exit(str(error))
    log.configure(name, own.log_level)
    log.started(own.describe())
    try:
        made = service(own, _until_told())
    except settings.SettingsError as error:
        sys.exit(str(error))
    made.run()
    log.stopped()


def _until_told() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    main()
