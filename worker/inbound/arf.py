"""Complaints: feedback reports (RFC 5965), and Outlook.com's, which have the message and no report.

Most providers leave out or garble whom the message was for; then only a reference of ours tells.
What people forgive or want to go on getting (`not-spam`, RFC 6430) is no complaint, and neither is
what is said about signatures (RFC 6591).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from franking.mail.mime import Part
from worker.inbound import addresses, original
from worker.inbound.dsn import host
from worker.inbound.fields import Fields
from worker.inbound.report import Kind, Report

KIND = "message/feedback-report"
MOST = 50  # recipients
COMPLAINTS = ("abuse", "fraud", "virus")
UNSUBSCRIPTIONS = ("opt-out", "opt-out-list", "unsubscribe", "list-unsubscribe")
_OUTLOOK = re.compile(r"<?(staff@(hotmail|outlook|live|microsoft)\.com)>?", re.I)
_REDACTED = re.compile(r"(redacted|x+|\*+|hidden|removed|undisclosed|private|user)[^@]*@", re.I)


def read(header: Fields, parts: Sequence[Part]) -> Report | None:
    """None when it is neither of them."""
    part = next((part for part in parts if part.kind == KIND), None)
    returned = original.header(parts)
    if part is None:
        return _of_outlook(header, returned)
    said = Fields.of(part.content.lstrip(b"\r\n"))
    return _report(
        said.first("feedback-type").split(";")[0].strip().lower()[:40],
        returned,
        [
            *said.all("original-rcpt-to"),
            *said.all("removal-recipient"),
            *said.all("redacted-address"),
        ],
        [said.first("original-envelope-id"), *said.all("original-mail-from")],
        host(said.first("reporting-mta")),
    )


def _of_outlook(header: Fields, returned: Fields) -> Report | None:
    """Junk Mail Reporting Program: from `staff@hotmail.com`, the message attached."""
    original_recipient = returned.all("x-hmxmroriginalrecipient")
    if not returned or not (original_recipient or _OUTLOOK.search(header.first("from"))):
        return None
    return _report("abuse", returned, original_recipient, [], "")


def _report(
    feedback_type: str, returned: Fields, recipients: list[str], given: list[str], mta: str
) -> Report:
    found = (addresses.typed(value) for value in recipients[:MOST])
    return Report(
        _kind(feedback_type),
        references=original.references(*given, *original.values(returned)),
        reporting_mta=mta,
        recipients=tuple(
            dict.fromkeys(each for each in found if each and not _REDACTED.match(each))
        ),
        feedback_type=feedback_type,
        message_id=original.message_id(returned),
    )


def _kind(feedback_type: str) -> Kind:
    if feedback_type in UNSUBSCRIPTIONS:
        return "unsubscribe"
    return "complaint" if feedback_type in COMPLAINTS else "unknown"
