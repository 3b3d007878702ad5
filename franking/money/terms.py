"""The terms of a plan: what is charged besides the price, and what happens without money.

Stored with the plan as JSON, only what differs from the defaults here, like its rules
(`franking.accounts.rules`).  Changed terms hold from the next message on.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

BillingUnit = Literal["message", "recipient"]
OnEmpty = Literal["reject", "defer", "grace", "hold"]
RefundFor = Literal["expired", "blocked"]
Feature = Literal["webhooks", "sftp", "api", "dedicated_pool"]

FEATURES: tuple[Feature, ...] = ("webhooks", "sftp", "api", "dedicated_pool")
Micros = Annotated[int, Field(ge=0, le=10**15)]


class Retention(BaseModel):
    """Days that things are kept; what is asked for after that does not exist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: int = Field(90, ge=1, le=3660, description="days: messages and their recipients")
    events: int = Field(90, ge=1, le=3660, description="days: their events, and refusals")
    webhooks: int = Field(7, ge=1, le=90, description="days: requests and answers of webhooks")
    accounting: int = Field(30, ge=1, le=3660, description="days: files of the accounting log")


class Terms(BaseModel):
    """Amounts in micro-units; a *unit* is a message or a recipient, as `billing_unit` says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    billing_unit: BillingUnit = "message"
    included: int = Field(
        0, ge=0, le=10**12, description="units per calendar month (UTC) that cost nothing"
    )
    monthly_fee: Micros = 0
    overdraft: Micros = Field(0, description="how far below zero the balance may go")
    on_empty: OnEmpty = Field(
        "reject",
        description="554, 450, `grace` units more, or wait in the hold queue for a deposit",
    )
    grace: int = Field(0, ge=0, le=10**9, description="units that on_empty = grace lets pass")
    hold_messages: int = Field(
        1000, ge=1, le=10**6, description="of one API key that may wait for money; then 450"
    )
    hold_days: int = Field(5, ge=1, le=365, description="then what waits for money is given up")
    refunds: tuple[RefundFor, ...] = Field(
        ("expired", "blocked"),
        description="what is given back: expired in our queue, our address blocked",
    )
    features: tuple[Feature, ...] = FEATURES
    retention: Retention = Retention()

    def floor(self, unit_price: int) -> int:
        """How far below zero a message may bring the balance while one unit costs this."""
        return self.overdraft + (self.grace * unit_price if self.on_empty == "grace" else 0)


@functools.lru_cache(4096)
def terms_of(stored: str) -> Terms:
    """A plan's terms from its stored JSON."""
    return Terms.model_validate_json(stored)


def stored(terms: Terms) -> str:
    """The JSON that is kept: what differs from the defaults."""
    return terms.model_dump_json(exclude_defaults=True)
