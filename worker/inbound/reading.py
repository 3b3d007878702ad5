"""From a message to what it says: bytes in, a `Report` out, whatever the bytes are.

First what is standard (a delivery status, a feedback report), then what comes from a mail server
and speaks of a failure, then automatic replies, and last what else is a bounce in words.  Nothing
is read inside of the returned message but its header: what it contains is not about this delivery.
"""

from __future__ import annotations

from dataclasses import dataclass

from franking.mail.mime import LONGEST_HEADER, Unreadable, leaves
from worker.inbound import arf, automatic, dsn, heuristic, texts
from worker.inbound.fields import Fields
from worker.inbound.report import Action, Failed, Kind, Report

__all__ = ["Action", "Failed", "Kind", "Limits", "Report", "Unreadable", "read"]


@dataclass(frozen=True)
class Limits:
    """`looked_at`: octets from the beginning; only the returned message can be beyond them.
    `recipients` of one report."""

    looked_at: int = 2 << 20
    recipients: int = 5_000


def read(data: bytes, limits: Limits | None = None) -> Report:
    """Of a whole message (RFC 5322).  Raises Unreadable for one with too many parts, levels or
    octets of a header."""
    limits = limits or Limits()
    data = data[: limits.looked_at]
    header = Fields.of(data[:LONGEST_HEADER])
    parts = list(leaves(data, into_messages=False))
    words = texts.of(parts)
    report = dsn.read(parts, limits.recipients, words.said) or arf.read(header, parts)
    if report is None and heuristic.is_bounce(header, words):
        report = heuristic.read(header, parts, words)
    if report is None and automatic.is_automatic(header, parts):
        report = Report("automatic")
    return report or heuristic.read(header, parts, words) or Report("unknown")
