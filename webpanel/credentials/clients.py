"""Who still uses which secret of a credential: rows in, lines to show.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from franking.accounts import credentials
from franking.accounts.credentials import SecretState
from franking.accounts.models import Credential, CredentialUse

LATELY = timedelta(hours=24)


@dataclass(frozen=True)
class Client:
    use: CredentialUse
    state: SecretState
    lately: bool  # within the last 24 hours

    @property
    def name(self) -> str:
        """`web1.shop.example (192.0.2.7)`, or the address alone."""
        helo, address = self.use.client_helo, self.use.client_ip
        return f"{helo} ({address})" if helo else address


@dataclass(frozen=True)
class Clients:
    """All that are known, newest first, and those who would be locked out now."""

    all: Sequence[Client]

    @property
    def on_previous(self) -> list[Client]:
        return [client for client in self.all if client.state == "previous"]

    @property
    def locked_out(self) -> list[Client]:
        """By ending the old secret: those that used it in the last 24 hours."""
        return [client for client in self.on_previous if client.lately]


def clients_of(uses: Sequence[CredentialUse], row: Credential, now: datetime) -> Clients:
    return Clients(
        [
            Client(
                use,
                credentials.secret_state(row, use.secret_hint, now),
                now - use.last_used_at <= LATELY,
            )
            for use in uses
        ]
    )
