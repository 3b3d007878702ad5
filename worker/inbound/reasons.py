"""Why a delivery has failed, from the words about one address in a text for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from worker.inbound import codes, words
from worker.inbound.addresses import PLAIN
from worker.inbound.fields import one_line

LONGEST = 2_000  # characters of a diagnostic
MOST_LINES = 200


class Reason(NamedTuple):
    """`coded` is a code that is said, `meant` one that the words stand for."""

    coded: str | None
    meant: str | None
    smtp_code: int | None
    text: str

    @property
    def status(self) -> str | None:
        """The more telling one of them."""
        if self.coded is None or codes.is_vague(self.coded):
            return self.meant or self.coded
        return self.coded


def reason(said: str, address: str, status: str = "") -> Reason:
    """What stands behind the address, or else what stands anywhere.  A `status` that says
    something counts."""
    found = Reason(None, None, None, "")
    for text in (_paragraph(said, address), *_lines(said), said):
        found = _told(text, status)
        if found.smtp_code or (found.status and not codes.is_vague(found.status)):
            break
    return found


def _told(text: str, status: str) -> Reason:
    plain = one_line(PLAIN.sub(" ", text))
    return Reason(
        codes.enhanced(status, plain),
        words.meant(plain),
        codes.smtp_code(plain),
        one_line(text)[:LONGEST],
    )


def _paragraph(said: str, address: str) -> str:
    """From this address up to an empty line."""
    start = said.find(address) if address else -1
    if start < 0:
        return ""
    rest = said[start + len(address) :]
    return re.split(r"\n[ \t]*\n", rest, maxsplit=1)[0]


def _lines(said: str) -> Iterator[str]:
    """Those with a code, each with the two after it; then the others."""
    lines = [line for line in said.split("\n") if line.strip()][:MOST_LINES]
    coded = [at for at, line in enumerate(lines) if codes.ENHANCED.search(line)]
    for at in coded:
        yield "\n".join(lines[at : at + 3])
    yield from lines
