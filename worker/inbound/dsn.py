"""Delivery status notifications: RFC 3464, RFC 6533, and what calls itself so.

Fields are looked for by name, wherever they stand: some servers leave out the empty lines between
recipients, or put some where none belong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from franking.mail.bounce_classes import UNDETERMINED
from franking.mail.mime import Part
from worker.inbound import addresses, codes, original, words
from worker.inbound.fields import Fields, blocks
from worker.inbound.reasons import LONGEST, reason
from worker.inbound.report import Action, Failed, Report

KINDS = ("message/delivery-status", "message/global-delivery-status")
_OF_MESSAGE = ("reporting-mta", "original-envelope-id", "arrival-date", "received-from-mta")
_RECIPIENT = ("final-recipient", "original-recipient")
# Others, that servers were seen to write: OpenSMTPD `error`.
_ACTIONS: tuple[tuple[str, Action], ...] = (
    ("fail", "failed"), ("error", "failed"), ("undeliver", "failed"), ("bounce", "failed"),
    ("delay", "delayed"), ("defer", "delayed"), ("warn", "delayed"),
    ("deliver", "delivered"), ("success", "delivered"),
    ("relay", "relayed"), ("expand", "expanded"),
)  # fmt: skip
_BY_CLASS: dict[str, Action] = {"5": "failed", "4": "delayed", "2": "delivered"}


def read(parts: Sequence[Part], most: int, said: str = "") -> Report | None:
    """None when no part is a delivery status.  `most` recipients; `said`: the text for people,
    which counts where the status of the only recipient says nothing."""
    status = next((part for part in parts if part.kind in KINDS), None)
    if status is None:
        return None
    message, recipients = _groups(status.content)
    failures = tuple(_failed(each) for _, each in zip(range(most), recipients, strict=False))
    if len(failures) == 1 and not failures[0].diagnostic:
        failures = (_explained(failures[0], said),)
    returned = original.header(parts)
    return Report(
        "dsn",
        references=original.references(
            message.first("original-envelope-id"), *original.values(returned)
        ),
        reporting_mta=host(message.first("reporting-mta")),
        failures=failures,
        message_id=original.message_id(returned),
    )


def _groups(content: bytes) -> tuple[Fields, Iterator[Fields]]:
    """The fields about the message, and those of each recipient."""
    found = _recipients(content)
    return next(found), found


def _recipients(content: bytes) -> Iterator[Fields]:
    """First what is about no recipient, complete or not."""
    message, current = Fields(), None
    for block in blocks(content):
        begins = any(name in _RECIPIENT for name, _ in block)
        seen: set[str] = set()
        for name, value in block:
            if name in _OF_MESSAGE:  # some repeat them before each recipient
                message.add(name, value)
                continue
            if (begins and not seen) or (name in _RECIPIENT and name in seen):
                yield message if current is None else current
                current, seen = Fields(), set()
            seen.add(name)
            (message if current is None else current).add(name, value)
    yield message if current is None else current


def _failed(fields: Fields) -> Failed:
    kind, diagnostic = codes.diagnosed(fields.first("diagnostic-code"))
    status = codes.enhanced(fields.first("status"), diagnostic)
    remote = kind in ("smtp", "") or kind.startswith("x-smtp")
    failed = Failed(
        recipient=addresses.typed(fields.first("final-recipient", "x-actual-recipient")),
        original_recipient=addresses.typed(fields.first("original-recipient")),
        action=_action(fields.first("action"), status, diagnostic),
        status=status,
        smtp_code=codes.smtp_code(diagnostic) if remote else None,
        diagnostic=diagnostic[:LONGEST],
        remote_mta=host(fields.first("remote-mta")),
        at=instant(fields.first("last-attempt-date")),
    )
    return _guessed(failed, words.meant(diagnostic))


def _explained(failed: Failed, said: str) -> Failed:
    """With what the text says, where the status says nothing."""
    why = reason(said, failed.recipient, failed.status or "")
    told = replace(failed, status=why.coded, smtp_code=why.smtp_code, diagnostic=why.text)
    return _guessed(told, why.meant)


def _guessed(failed: Failed, meant: str | None) -> Failed:
    """With the code that its words stand for, where it has none that says anything; but words
    alone do not make an address one that does not exist."""
    guess = replace(failed, status=meant or failed.status)
    vague = codes.is_vague(failed.status or "5.0.0") and failed.finding.category is UNDETERMINED
    return guess if vague and guess.finding.category.suppress != "at once" else failed


def _action(written: str, status: str | None, diagnostic: str) -> Action:
    lower = written.lower()
    for beginning, action in _ACTIONS:
        if lower.startswith(beginning):
            return action
    code = status or str(codes.smtp_code(diagnostic) or "5")
    return _BY_CLASS[code[0]]


def host(value: str) -> str:
    """`dns; mx.example (192.0.2.1)`: the name."""
    found = re.match(r"[ \t]*(?:[a-z0-9-]{1,20}[ \t]*;)?[ \t]*([^\s;()]+)", value, re.I)
    return found[1].strip("[]<>").lower()[:255] if found else ""


def instant(value: str) -> datetime | None:
    """A date of RFC 5322; None for what is none."""
    try:
        found = parsedate_to_datetime(value[:100])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
