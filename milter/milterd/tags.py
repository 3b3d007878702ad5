"""The tags of a message: what marks it for search, in the headers of all the services we replace.

`X-Franking-Tags: "spring, newsletter 3"` is ours (the operator chooses the name) and MailerSend's:
a list with commas, which may stand in double quotes as a whole.  Elsewhere one header is one tag,
and two tags are two headers (Postmark, Mailgun, Postal, Symfony's TagHeader).  A tag is 1 to 64
printable characters; folds, and white space at its ends, mean nothing.  RFC 2047 encoded-words are
read, because a framework writes them for everything that is not ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from franking.mail.words import decode_words

MOST = 5
LONGEST = 64
LISTS = (b"x-mailersend-tags",)
SINGLES = (b"x-pm-tag", b"x-mailgun-tag", b"x-postal-tag", b"x-tag")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def parse(values: Sequence[bytes], name: str) -> tuple[list[str], list[str]]:
    """(tags in their order, each once; what is wrong with them), from all list headers `name`."""
    return checked(split(values), name)


def split(values: Sequence[bytes]) -> list[str]:
    """The items of comma-separated header values; the last one may be followed by a comma."""
    found: list[str] = []
    for value in values:
        items = [_unquoted(item.strip()) for item in _unquoted(decoded(value)).split(",")]
        found += items if items[-1] else items[:-1]
    return found


def checked(found: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """(tags, errors): when there are errors, there are no tags."""
    tags = list(dict.fromkeys(" ".join(tag.split()) for tag in found))
    errors = [error for tag in tags if (error := _error(tag, name))]
    if not errors and len(tags) > MOST:
        errors = [f"{name} has {len(tags)} tags; at most {MOST} are allowed"]
    return ([], errors) if errors else (tags, [])


def decoded(value: bytes) -> str:
    """A header's value as text: unfolded, its encoded-words read."""
    return decode_words(_FOLD.sub(b"", value).decode("utf-8", "replace")).strip(" \t")


def brand_prefix(tag_header: str) -> bytes:
    """`X-Franking-Tags` → b"x-franking-"."""
    return tag_header.lower().rpartition("-")[0].encode() + b"-"


def _unquoted(text: str) -> str:
    inside = text[1:-1]
    return inside if len(text) > 1 and text[0] == text[-1] == '"' not in inside else text


def _error(tag: str, name: str) -> str | None:
    if not tag:
        return f"{name} contains an empty tag"
    if len(tag) > LONGEST:
        return f"a tag in {name} is longer than {LONGEST} characters"
    if not tag.isprintable() or "\ufffd" in tag:
        return f"a tag in {name} contains a character that cannot be printed"
    return None
