"""The corpora beside this file: hostile input as data, one case a line, `… | name | octets`.

Octets are written as in a Python bytes literal, a character beyond ASCII as itself or its UTF-8;
`{long}` is 2000 letters, `{blank}` 2000 spaces.
Empty lines and those that begin with `#` say something to the reader.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def rows(name: str) -> list[list[str]]:
    """The fields of each line of `<name>.txt`, the last of which may contain ` | `."""
    lines = (HERE / f"{name}.txt").read_text().split("\n")
    return [
        [field.strip(" ") for field in line.split(" | ", 2)]
        for line in lines
        if line and not line.startswith("#")
    ]


def octets(text: str) -> bytes:
    for name, filling in (("long", "x" * 2000), ("blank", " " * 2000), ("dots", "." * 998)):
        text = text.replace(f"{{{name}}}", filling)
    text = re.sub(r"\{(\d+)\}", lambda match: "x" * int(match[1]), text)
    return text.encode().decode("unicode_escape").encode("latin-1")
