"""What providers' forms do to the text of a TXT record."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from franking.domains.checks.finding import Verdict, wrong
from franking.domains.records import Record

_PIECES = 4  # a value is cut into a few; more would only cost time


def solid(text: str) -> str:
    """Without white space: around `;` and `=` it means nothing in a tag list (RFC 6376 §3.2)."""
    return "".join(text.split())


def unmarked(text: str) -> str:
    """Without what belongs to zone files, and not into the text."""
    return text.replace('"', "").replace("\\", "")


def damage(record: Record, texts: Sequence[str]) -> Verdict | None:
    """The expected text, come to harm on its way; None if it is another text altogether."""
    expected = solid(record.value)
    found = tuple(texts)
    for text in texts:
        if solid(text) == expected:
            return wrong("txt_spaces", found)
        if solid(unmarked(text)) == expected:
            return wrong("txt_marks", found)
    pieces = [piece for text in texts if (piece := solid(unmarked(text))) and piece in expected]
    if _joined(pieces, expected):
        return wrong("txt_several", found, count=str(len(pieces)))
    for piece in pieces:
        if expected.startswith(piece) and len(piece) >= len(expected) // 3:
            return truncated(record, found, len(piece))
    return None


def truncated(record: Record, found: tuple[str, ...], length: int) -> Verdict:
    full = len(solid(record.value))
    return wrong("txt_truncated", found, length=str(length), full=str(full))


def _joined(pieces: Sequence[str], whole: str) -> bool:
    return 2 <= len(pieces) <= _PIECES and any(
        "".join(order) == whole for order in permutations(pieces)
    )
