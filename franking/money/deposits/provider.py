"""What a payment provider must be able to do, and the words to talk about it.

A provider only asks and answers; it knows no database.  What is credited follows from `Standing`,
which is fetched from the provider: a webhook says that there is something new, never how much.
So repeats, lost ones and any order of them lead to the same balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from franking.reasons import Refused


class Unavailable(Refused):
    """A payment cannot be begun now; fit to show to the customer."""


class ProviderTrouble(Exception):
    """The provider does not answer, or not as documented.  To be tried again."""


class Declined(Exception):
    """The provider has decided: this payment will not be made.  `str()` is its reason."""

    def __init__(self, reason: str, provider_reference: str | None = None) -> None:
        super().__init__(reason[:200])
        self.provider_reference = provider_reference


class Forged(Exception):
    """A webhook without a valid signature of the provider, or too old."""


@dataclass(frozen=True)
class Card:
    """What a later payment without the customer needs."""

    customer_reference: str
    method_reference: str | None
    label: str | None  # "Visa •••• 4242"


@dataclass(frozen=True)
class Ask:
    """A payment to be made; `amount` in micro-units of `currency`."""

    reference: str
    amount: int
    currency: str
    description: str
    return_url: str
    save_card: bool = False
    card: Card | None = None


@dataclass(frozen=True)
class Started:
    provider_reference: str | None
    pay_url: str | None


@dataclass(frozen=True)
class Known:
    """By what a payment is found: our reference, the provider's for what was asked, and paid."""

    reference: str | None = None
    provider_reference: str | None = None
    payment_reference: str | None = None


@dataclass(frozen=True)
class Told:
    """A webhook whose signature is right; a repeat has the same `event_id`."""

    event_id: str
    kind: str
    about: Known


@dataclass(frozen=True)
class Standing:
    """What the provider says about one payment now.  Micro-units of `currency`.

    `paid` is what arrived and is final; `taken_back` what was refunded or is disputed.  `state` is
    for a payment of which nothing has arrived.
    """

    reference: str | None
    provider_reference: str
    currency: str
    payment_reference: str | None = None
    paid: int = 0
    taken_back: int = 0
    state: Literal["pending", "expired", "failed"] = "pending"
    reason: str | None = None
    card: Card | None = None


class Headers(Protocol):
    """Of a webhook; case does not matter."""

    def get(self, key: str, /) -> str | None: ...


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """What the customer chooses."""

    @property
    def saves_cards(self) -> bool: ...

    def start(self, ask: Ask) -> Started:
        """Prepare the payment.  Raises ProviderTrouble, Declined."""


@runtime_checkable
class OnlineProvider(Provider, Protocol):
    """One that can be asked, and tells."""

    def told(self, body: bytes, headers: Headers) -> Told:
        """Check a webhook's signature; no I/O.  Raises Forged."""

    def look(self, known: Known) -> Standing | None:
        """Ask how a payment stands; None when there is no such payment of ours.

        Raises ProviderTrouble.
        """


@runtime_checkable
class CardProvider(OnlineProvider, Protocol):
    def charge(self, ask: Ask, card: Card) -> Started:
        """Charge a saved card without the customer.  Raises ProviderTrouble, Declined.

        The same `ask` again is the same payment.
        """

    def forget(self, card: Card) -> None:
        """Remove a saved card.  Raises ProviderTrouble."""
