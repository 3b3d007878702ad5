"""Automatic top-up, and payments of which nothing more is heard (rules: `franking.money.deposits`).

Every node does it: each account is charged, and each payment asked about, by one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from franking.db import Database, utcnow
from franking.money.deposits import pending, topup
from franking.money.deposits.providers import charging_cards, offered, online
from franking.settings import Settings

EVERY = 5.0  # seconds


class Topup:
    def __init__(
        self, database: Database, settings: Settings, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._providers = offered(settings)

    def look(self) -> None:
        """Charge what is due, then ask about what is pending."""
        transaction = self._database.transaction
        cards = charging_cards(self._providers)
        if cards is not None:
            topup.run(transaction, cards, self._settings, self._clock())
        if self._providers:
            pending.look_after(transaction, online(self._providers), self._clock())
