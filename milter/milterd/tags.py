"""The tag header: `X-Franking-Tags: "spring, newsletter 3"` marks a message for search.

At most five tags of 1 to 64 characters: letters, digits, `._:/@+-` and single spaces within; the
list may stand in double quotes, and folds mean nothing.  The header is removed before the message
is signed; it never leaves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 5
LONGEST = 64
_TAG = re.compile(r"[A-Za-z0-9._:/@+-]+(?: [A-Za-z0-9._:/@+-]+)*")


def parse(values: Sequence[bytes], name: str) -> tuple[list[str], list[str]]:
    """(tags in their order, each once; what is wrong with them), from all headers `name`."""
    text = ",".join(_unquoted(value) for value in values)
    found = [" ".join(tag.split()) for tag in text.split(",")] if text.strip() else []
    errors = [error for tag in found if (error := _error(tag, name))]
    tags = list(dict.fromkeys(found))
    if len(tags) > MOST:
        errors = [f"{name} has {len(tags)} tags; at most {MOST} are allowed"]
    return ([], errors) if errors else (tags, [])


def _unquoted(value: bytes) -> str:
    text = value.decode("utf-8", "replace").strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _error(tag: str, name: str) -> str | None:
    if not tag:
        return f"{name} contains an empty tag"
    if len(tag) > LONGEST:
        return f"a tag in {name} is longer than {LONGEST} characters"
    if not _TAG.fullmatch(tag):
        return f"a tag in {name} contains other characters than letters digits spaces and ._:/@+-"
    return None
