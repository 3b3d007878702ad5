"""What a check says about one record, and the judgements that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from franking.dns.answers import Answer
from franking.domains.records import Record

Status = Literal["pending", "verified", "wrong", "missing", "temporary_failure"]
LONGEST = 600  # characters of one value that are kept


@dataclass(frozen=True)
class Finding:
    """`fault`: a key of `franking.domains.checks.faults`; `advice`: the sentence that fixes it.

    `found`: what is there instead, made printable; of DMARC, which may be the customer's own, also
    what is right.  A record that is `verified` may have a fault that does not stop it, with its
    advice; usually it has none, and advice is empty.
    """

    record: Record
    status: Status
    fault: str | None = None
    found: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class Verdict:
    """A judgement on one answer.  `right` may have a fault that does no harm.

    `absent`: nothing there looks like the record.  `trouble`: something that had to be asked did
    not answer.  `moved`: it was right until the operator changed the relay's zone.  `details`: what
    the fault's sentence names besides the record.
    """

    state: Literal["right", "wrong", "absent", "trouble", "moved"]
    fault: str | None = None
    found: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


RIGHT = Verdict("right")


def remark(fault: str, found: tuple[str, ...], **details: str) -> Verdict:
    return Verdict("right", fault, found, details)


def wrong(fault: str, found: tuple[str, ...], **details: str) -> Verdict:
    return Verdict("wrong", fault, found, details)


def absent(fault: str = "absent", found: tuple[str, ...] = (), **details: str) -> Verdict:
    return Verdict("absent", fault, found, details)


def trouble(answer: Answer) -> Verdict:
    by = f" (asked: {answer.server})" if answer.server else ""
    problem = f"{answer.problem or 'no answer'}{by}"
    return Verdict("trouble", "no_answer", details={"asked": answer.name, "problem": problem})


def shown(text: str, longest: int = LONGEST) -> str:
    """What a stranger wrote, printable and bounded: it goes to terminals, pages and PostgreSQL."""
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    return "".join(c if c.isprintable() else f"\\{ord(c):03d}" for c in cut)
