"""Whose export a file is, by its columns, and what each of its rows says.

Ours: `address,scope,reason,created_at,expires_at,note`, the scope being `account`, `domain:NAME`
or `stream:NAME`.  A list of addresses without more is one of entries made by hand.

Others, as their documentation and exports have them:
SendGrid  https://www.twilio.com/docs/sendgrid/api-reference/bounces-api (and blocks, invalid
          e-mails, spam reports, global and group unsubscribes)
Postmark  https://postmarkapp.com/developer/api/suppressions-api, …/bounce-api
Mailgun   https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces (and
          complaints, unsubscribes)
SES       `aws sesv2 list-suppressed-destinations`, and the file that its imports take

Bounces are judged by their codes and words as our own are: what was a refusal of the message or of
its sender is left out, whatever list it was on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from franking.mail.bounce_classes import classify
from franking.mail.models import SUPPRESSION_REASONS

Cells = Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """What one row asks for.  `scope` None: the row does not say; `expires_at` None: nor when it
    ends."""

    address: str
    reason: str
    created_at: datetime | None = None
    scope: str | None = None
    scope_name: str = ""
    expires_at: datetime | None = None
    note: str | None = None


class LeftOut(Exception):
    """The row is understood, and asks for nothing; `str()` says why."""


class Unusable(Exception):
    """The row cannot be used; `str()` says why."""


@dataclass(frozen=True)
class Format:
    """`read` raises LeftOut and Unusable."""

    title: str
    needs: str
    read: Callable[[Cells], Entry]


def recognise(columns: frozenset[str]) -> Format | None:
    """The first format whose columns are all there."""
    return next((each for each in FORMATS if columns.issuperset(each.needs.split())), None)


def _ours(cells: Cells) -> Entry:
    scope, _, name = cells["scope"].partition(":")
    reason, until = cells.get("reason", ""), _plain(cells.get("expiresat", ""))
    if reason not in SUPPRESSION_REASONS:
        raise Unusable(f"{reason!r} is no reason: {', '.join(SUPPRESSION_REASONS)}")
    expires_at = _instant(until)
    if until and expires_at is None:
        raise Unusable(f"{until!r} is no time")
    return Entry(
        address=_plain(cells["address"]),
        reason=reason,
        created_at=_instant(_plain(cells.get("createdat", ""))),
        scope=scope,
        scope_name=name,
        expires_at=expires_at,
        note=_plain(cells.get("note", "")) or None,
    )


def _plain(cell: str) -> str:
    """A cell of ours without the apostrophe that keeps spreadsheets from calculating it."""
    return cell.removeprefix("'")


def _addresses(cells: Cells) -> Entry:
    found = (cells[name] for name in ("address", "email", "emailaddress") if name in cells)
    return Entry(next(found), "manual")


def _sendgrid_bounce(cells: Cells) -> Entry:
    reason = _judged(cells["status"], cells["reason"])
    return Entry(cells["email"], reason, _instant(cells["created"]))


def _always(reason: str, address: str, at: str) -> Callable[[Cells], Entry]:
    return lambda cells: Entry(cells[address], reason, _instant(cells.get(at, "")))


def _mailgun_bounce(cells: Cells) -> Entry:
    reason = _judged(cells["code"], cells["error"])
    return Entry(cells["address"], reason, _instant(cells.get("createdat", "")))


def _mailgun_unsubscribe(cells: Cells) -> Entry:
    tags = cells["tags"].strip("[]'\" ")
    note = None if tags in ("", "*") else f"Mailgun tags: {tags}"
    at = _instant(cells.get("createdat", ""))
    return Entry(cells["address"], "unsubscribe", at, note=note)


def _by_name(
    names: Mapping[str, str], column: str, address: str, at: str
) -> Callable[[Cells], Entry]:
    def read(cells: Cells) -> Entry:
        said = cells[column]
        reason = names.get(said.lower())
        if reason is None:
            raise LeftOut(f"{said or 'nothing'} is no reason to suppress an address")
        return Entry(cells[address], reason, _instant(cells.get(at, "")))

    return read


_POSTMARK = {
    "hardbounce": "hard_bounce", "spamcomplaint": "complaint", "manualsuppression": "manual",
}  # fmt: skip
_POSTMARK_BOUNCES = {
    "hardbounce": "hard_bounce", "bademailaddress": "hard_bounce", "spamcomplaint": "complaint",
    "spamnotification": "complaint", "unsubscribe": "unsubscribe", "manuallydeactivated": "manual",
}  # fmt: skip
_SES = {"bounce": "hard_bounce", "complaint": "complaint"}

# The narrower one first.
FORMATS = (
    Format("Franking", "address scope reason", _ours),
    Format(
        "Postmark, suppressions",
        "emailaddress suppressionreason",
        _by_name(_POSTMARK, "suppressionreason", "emailaddress", "createdat"),
    ),
    Format(
        "Postmark, bounces",
        "email type bouncedat",
        _by_name(_POSTMARK_BOUNCES, "type", "email", "bouncedat"),
    ),
    Format(
        "Amazon SES",
        "emailaddress reason",
        _by_name(_SES, "reason", "emailaddress", "lastupdatetime"),
    ),
    Format("SendGrid, bounces or blocks", "email status reason created", _sendgrid_bounce),
    Format(
        "SendGrid, invalid addresses",
        "email reason created",
        _always("hard_bounce", "email", "created"),
    ),
    Format("SendGrid, spam reports", "email ip created", _always("complaint", "email", "created")),
    Format("SendGrid, unsubscribes", "email created", _always("unsubscribe", "email", "created")),
    Format("Mailgun, bounces", "address code error", _mailgun_bounce),
    Format("Mailgun, unsubscribes", "address tags", _mailgun_unsubscribe),
    Format(
        "Mailgun, complaints", "address createdat", _always("complaint", "address", "createdat")
    ),
    Format("a list of addresses", "address", _addresses),
    Format("a list of addresses", "email", _addresses),
    Format("a list of addresses", "emailaddress", _addresses),
)

_ENHANCED = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
_SMTP = re.compile(r"\b[45]\d\d\b")
PASSING = "a failure that passes is not imported"
NOT_ABOUT_IT = "the message or its sender was refused, not the address"


def _judged(code: str, words: str) -> str:
    """The reason for an entry.  A service that keeps it calls it permanent: so do we, unless its
    codes and words say otherwise."""
    said = f"{words} {code}"
    smtp, enhanced = _SMTP.search(said), _ENHANCED.search(said)
    number = int(smtp[0]) if smtp else 550
    found = classify(enhanced[0] if enhanced else f"{number // 100}.0.0", number, words).category
    if found.kind in ("block", "config"):
        raise LeftOut(NOT_ABOUT_IT)
    if found.suppress == "repeated":
        return "soft_bounce"
    if found.kind == "soft":
        raise LeftOut(PASSING)
    return "hard_bounce"


def _instant(text: str) -> datetime | None:
    """Seconds since 1970, ISO 8601 or RFC 5322; None for what is none of them, or long ago."""
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            found = datetime.fromtimestamp(float(text), UTC)
        elif text[:4].isdigit():
            found = datetime.fromisoformat(text)
        else:
            found = parsedate_to_datetime(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.year >= 1990 else None
