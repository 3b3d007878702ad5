"""What bounces say in words, where they have no code, in the languages that were seen.

`words.txt` has a line for each phrase: a regular expression, blanks of which stand for any white
space, under the code that it means.  The first that fits, counts.
"""

from __future__ import annotations

import re
from pathlib import Path

_FLAGS = re.I | re.S
_TEXT = (Path(__file__).parent / "words.txt").read_text("utf-8")


def _sections(text: str) -> dict[str, re.Pattern[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.split("\n"))):
        if line.startswith("["):
            name = line.strip("[]")
            found[name] = []
        elif not line.startswith("#"):
            found[name].append(line.replace(" ", r"\s+"))
    return {name: re.compile("|".join(lines), _FLAGS) for name, lines in found.items()}


_SECTIONS = _sections(_TEXT)
_CODES = [(name, pattern) for name, pattern in _SECTIONS.items() if name[0] in "45"]


def meant(text: str) -> str | None:
    """The code for these words; None when they say nothing that is known."""
    return next((code for code, pattern in _CODES if pattern.search(text)), None)


def is_failure(text: str) -> bool:
    return _SECTIONS["failure"].search(text) is not None


def is_delay(text: str) -> bool:
    return _SECTIONS["delay"].search(text) is not None
