"""Sections of the settings about mail that comes back, and what follows from it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Bounces(BaseModel):
    """Where mail servers report what they could not deliver, and what people complain of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str = Field(
        "",
        description="envelope senders become addresses on this one, or on the customer's own"
        " bounce domain; without it reports go to the senders, and are not read",
    )
    token_days: int = Field(
        14, ge=1, le=365, description="days after acceptance that reports about mail are taken"
    )
    complaints: str = Field(
        "complaints",
        description='mailbox on the bounce domain that feedback loops report to; none: ""',
    )


class Inbound(BaseModel):
    """Mail to mailboxes of our own: bounces, complaints, DMARC reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    maildir: Path = Field(
        Path("/var/spool/franking/inbound"), description="where Postfix delivers it"
    )
    longest_message: int = Field(
        20 << 20, description="bytes of one message; more is refused at the end of DATA"
    )


class Suppressions(BaseModel):
    """What happens by itself; 0 days is for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hard_days: int = Field(0, ge=0, description="after an address was said not to exist")
    soft_failures: int = Field(
        3, ge=1, description="failed messages that suppress an address for a time"
    )
    soft_window_days: int = Field(30, ge=1, le=365, description="within so many days")
    soft_days: int = Field(14, ge=1, description="how long it is suppressed then")
    complaint_days: int = Field(0, ge=0, description="after a complaint")
    unsubscribe_days: int = Field(0, ge=0, description="after an unsubscription")
