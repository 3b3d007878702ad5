"""What a check has found, and how many are run at once.

Everything that a remote party says (names, banners, lists' texts) becomes part of a finding's
`detail` or `fix` only as printable characters, and no more than 500 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from franking.dns.answers import Answer, Lookup

Status = Literal["ok", "warn", "fail"]

AT_ONCE = 16
LONGEST = 500
SUBJECT = 255


@dataclass(frozen=True)
class Finding:
    """`subject`: an address, a listener or a name.  `fix`: the sentence that helps, empty when ok.

    `certain` is false when nobody has answered, so that nothing is known: a warning that proves
    neither a fault nor that an earlier one is over.
    """

    name: str
    subject: str
    status: Status
    detail: str
    fix: str = ""
    certain: bool = True

    def data(self) -> dict[str, str]:
        """As JSON has it."""
        keys = ("name", "subject", "status", "detail", "fix")
        return {key: getattr(self, key) for key in keys}


def ok(name: str, subject: str, detail: str) -> Finding:
    return Finding(name, subject[:SUBJECT], "ok", plain(detail))


def warn(name: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(name, subject[:SUBJECT], "warn", plain(detail), plain(fix))


def fail(name: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(name, subject[:SUBJECT], "fail", plain(detail), plain(fix))


def unknown(name: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(name, subject[:SUBJECT], "warn", plain(detail), plain(fix), certain=False)


def no_answer(name: str, subject: str, answer: Answer) -> Finding:
    detail = f"no answer about {answer.name} {answer.type}: {answer.problem or 'no reason given'}"
    return unknown(name, subject, detail, "it is asked again; if this stays, look at [dns]")


def plain(text: str, longest: int = LONGEST) -> str:
    """On one line, and without what could move a terminal's cursor."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def resolved(lookup: Lookup, name: str, type: str) -> Answer:
    """As the Internet sees it: the first resolver's answer that is one."""
    answers = lookup.resolved(name, type)
    return next((answer for answer in answers if answer.status != "trouble"), answers[0])


def addresses_of(lookup: Lookup, name: str) -> tuple[tuple[str, ...], Answer | None]:
    """Its A and AAAA records; the second value is the trouble, if one of the two had any."""
    answers = [resolved(lookup, name, type) for type in ("A", "AAAA")]
    trouble = next((answer for answer in answers if answer.status == "trouble"), None)
    return tuple(value for answer in answers for value in answer.values), trouble


@dataclass(frozen=True)
class Check:
    """Makes findings; `name` and `subject` say what broke if it raises."""

    name: str
    subject: str
    run: Callable[[], Finding | Sequence[Finding]]


def run(checks: Iterable[Check]) -> list[Finding]:
    """All of them, a few at a time, in their order; one that breaks is itself a finding."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deliverability") as pool:
        return [finding for found in pool.map(_guarded, checks) for finding in found]


def _guarded(check: Check) -> Sequence[Finding]:
    try:
        found = check.run()
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        fix = "see the detail; the check itself could not run"
        return [unknown(check.name, check.subject, detail, fix)]
    return [found] if isinstance(found, Finding) else found
