"""What a diagnostic says in codes: `smtp; 550-5.1.1 …`, `554 … (#5.7.1)`, `… 550 '5.1.1 …'`.

Many servers give a status that fits everything and put what they have been told behind it: then
that counts.
"""

from __future__ import annotations

import re

ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")  # not within an address
_SMTP = re.compile(r"(?<![\d.:-])([45]\d\d)(?=[ -]|$)")
# RFC 3463's "other or undefined", the 5.1.0 of IronPort, and Exchange Online's "a remote server
# returned an error".
_VAGUE = re.compile(r"[245]\.\d\.(0|35[01])")
_TYPE = re.compile(r"[ \t]*([a-z0-9-]{1,20})[ \t]*;[ \t]*(.*)", re.I | re.S)


def diagnosed(value: str) -> tuple[str, str]:
    """A Diagnostic-Code: its type in lower case, empty without one, and its text."""
    found = _TYPE.match(value)
    return (found[1].lower(), found[2]) if found else ("", value.strip())


def smtp_code(text: str) -> int | None:
    """The first reply code of a failure in it."""
    found = _SMTP.search(text)
    return int(found[1]) if found else None


def enhanced(status: str, diagnostic: str) -> str | None:
    """The code that tells most: that of the Status field, or a better one in the diagnostic."""
    said = [found[1] for found in ENHANCED.finditer(f"{status} {diagnostic}")]
    telling = [code for code in said if not is_vague(code)]
    if not said or (telling and telling[0] == said[0]):
        return next(iter(said), None)
    same = [code for code in telling if code[0] == said[0][0]]
    return (same or telling or said)[0]


def is_vague(code: str) -> bool:
    return _VAGUE.fullmatch(code) is not None
