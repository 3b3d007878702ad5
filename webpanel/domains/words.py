"""What Domains says in words: states, purposes, statuses, and the next thing to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from franking.domains.dmarc.stages import Step
from franking.domains.found import Shown
from franking.domains.life import WARN_AFTER, State
from franking.domains.models import Domain
from franking.domains.records import Record

METHODS: Final = {
    "cname": "Two CNAME records, published once: we replace the keys behind them",
    "txt": "One TXT record with each new key: you publish it, mostly once a quarter",
}
STATES = {  # a domain's: colour
    "pending": "yellow",
    "verified": "green",
    "failing": "orange",
    "suspended": "red",
}
PURPOSES = {
    "ownership": "Proof that it is yours",
    "dkim": "DKIM",
    "return_path": "Return path",
    "spf": "SPF",
    "dmarc": "DMARC",
    "tracking": "Tracking host",
}
NEXT_KEY = "DKIM, next key"
STATUSES = {  # a record's: in words, colour, icon
    "not_started": ("not looked at yet", "secondary", "clock"),
    "pending": ("on its way", "yellow", "clock"),
    "verified": ("found", "green", "check"),
    "wrong": ("wrong", "red", "x"),
    "missing": ("missing", "orange", "alert-triangle"),
    "temporary_failure": ("DNS did not answer", "yellow", "alert-circle"),
}
KEY_STATES = {"pending": "yellow", "active": "green", "retiring": "secondary"}
RESULTS = {  # of a deliverability check: in words, colour, icon
    "ok": ("fine", "green", "check"),
    "warn": ("look at it", "yellow", "alert-triangle"),
    "fail": ("wrong", "red", "x"),
}
POLICIES = {
    "none": "Receivers treat failing mail as any other, and report it.",
    "quarantine": "Failing mail goes to the spam folder.",
    "reject": "Failing mail is refused: nobody can write in your name.",
}
VERDICTS = {"mine": "yours", "foreign": "not yours", None: "not sure"}
CHECKS = {  # of deliverability
    "addresses": "Addresses",
    "address": "Address",
    "certificate": "Certificate",
    "dkim zone": "Zone of DKIM keys",
    "dmarc": "DMARC",
    "dnsbl": "Block list",
    "egress": "Way to other servers",
    "helo": "HELO",
    "mx": "Replies (MX)",
    "nameservers": "Name servers",
    "outside view": "Seen from outside",
    "ptr": "PTR",
    "reachable": "Reachable",
    "spf": "SPF",
    "ttl": "TTL",
}
LONGEST_FOUND = 300  # characters of what somebody else's DNS says
MOST_FOUND = 5
LONGEST_SAID = 40  # characters of a value within a sentence
TO_DO = ("wrong", "missing")
NO_MASTER_KEY = "This panel has no key to encrypt DKIM keys with, so it can make none"


def found(values: Sequence[str]) -> list[str]:
    """What is there instead, as much of it as helps."""
    shown = [text if len(text) <= LONGEST_FOUND else f"{text[:LONGEST_FOUND]}…" for text in values]
    if len(shown) > MOST_FOUND:
        return [*shown[:MOST_FOUND], f"and {len(shown) - MOST_FOUND} more"]
    return shown


def advice(row: Shown, suggested: str | None) -> str:
    """The sentence that fixes it; a long value, which is there to be copied, is not said again."""
    text = row.advice
    for value in (row.record.quoted, row.record.value, suggested):
        if value and len(value) > LONGEST_SAID:
            text = text.replace(f"these strings: {value}", "the value below in its split form")
            text = text.replace(f"CNAME to {value}", "CNAME to the target below")
            text = text.replace(f"value {value}", "value below").replace(value, "what stands below")
    return text if text.endswith((".", "?", "!")) or not text else f"{text}."


def title_of(record: Record) -> str:
    if record.purpose == "dkim" and not record.required:
        return NEXT_KEY
    return PURPOSES[record.purpose]


TABLES: Final[dict[str, Any]] = {  # what the templates' macros look up
    "states": STATES,
    "statuses": STATUSES,
    "key_states": KEY_STATES,
    "results": RESULTS,
    "checks": CHECKS,
    "found": found,
    "advice": advice,
    "title_of": title_of,
}


def days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


def records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def day(moment: datetime) -> str:
    return f"{moment:%-d %B %Y}"


def sentence_of(reason: Exception) -> str:
    text = str(reason)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def named(rows: Sequence[Shown]) -> str:
    """`DKIM, DMARC`"""
    return ", ".join(dict.fromkeys(title_of(row.record) for row in rows))


def worst(rows: Sequence[Shown]) -> str:
    """The status in words that needs somebody the most."""
    order = ("wrong", "missing", "temporary_failure", "pending", "not_started")
    return STATUSES[min((row.status for row in rows), key=order.index)][0]


def sentence(
    domain: Domain,
    state: State,
    required: Sequence[Shown],
    *,
    obstacle: str | None,
    grace: timedelta,
) -> str:
    """What the state means for the customer's mail."""
    complete = all(row.status == "verified" for row in required)
    if state == "pending":
        if obstacle and complete:
            return f"{obstacle}."
        if complete:
            return "The next look makes it ready."
        return "Mail from it is taken as soon as all of them are."
    if state == "suspended":
        return (
            "Mail from it is refused: what is required was wrong for too long. Correct what is"
            " marked below; as soon as all of it is right again, mail is taken by itself."
        )
    if state == "failing":
        return _failing(domain, grace)
    return "Mail from it is taken."


def _failing(domain: Domain, grace: timedelta) -> str:
    if domain.failing_since is None or domain.verified_by == "assumed":
        return "Mail from it is taken all the same, because your operator has vouched for it."
    ends = (domain.warned_at or domain.failing_since + WARN_AFTER) + grace
    return (
        f"Mail from it is still taken. What is marked below has been wrong since"
        f" {day(domain.failing_since)}; from {day(ends)} on, mail from it is refused."
    )


def numbers(step: Step, share: float) -> str:
    """What the reports say of the customer's own mail in the time that counts."""
    volume = step.volume
    if step.present is None or volume.share < share:  # an obstacle, which says the numbers
        return ""
    return (
        f"{volume.share:.1f} % of {volume.messages:,} messages of yours were aligned, on"
        f" {days(volume.days)} with reports; {share:g} % are needed."
    )
