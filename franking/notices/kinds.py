"""What an account can be told that is about no single message."""

from __future__ import annotations

KINDS: tuple[str, ...] = (
    "balance.low",
    "balance.exhausted",
    "balance.restored",
    "deposit.paid",
    "deposit.reversed",
    "topup.failed",
    "invoice.issued",
    "cap.reached",
    "domain.verified",
    "domain.failing",
    "domain.failed",
    "domain.restored",
    "domain.lost",
    "dkim.publish",
    "dkim.rotated",
    "dmarc.new_source",
    "dmarc.ready",
    "endpoint.failing",
    "endpoint.paused",
    "delivery.misconfigured",
)

# Wherever a notice's detail has one of these, it is in micro-units of the account's currency.
AMOUNTS = frozenset({"available", "below", "amount", "net", "tax", "total", "cap"})
