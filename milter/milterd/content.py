"""What is wrong with a message's header fields, apart from From; each finding is one clause.

RFC 5322 §3.6 allows these fields once.  A second one is a trick: the signature covers one, the
reader sees the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SINGLETONS = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
MOST_ERRORS = 5  # one reply line has room for about as many
_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")  # RFC 5322 §2.2, so no space before the colon
_FOLDS = re.compile(rb"\r?\n(?=[ \t])")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def check_singletons(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """`headers` are (name, value); From is `franking.mail.address`'s, but counted here too."""
    present = [name.lower() for name, _ in headers]
    return [
        f"there are {count} {name} headers"
        for name in SINGLETONS
        if (count := present.count(name.lower().encode())) > 1
    ]


def check_fields(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Malformed names, and control characters, which verifiers treat in different ways."""
    errors = []
    for name, value in headers:
        shown = name.decode("ascii", "replace")[:40]
        if not _NAME.fullmatch(name):
            errors.append(f"the header name {shown!r} is malformed")
        elif _CONTROL.search(value) and _CONTROL.search(_FOLDS.sub(b"", value)):
            errors.append(f"the header {shown} contains a control character")
        if len(errors) == MOST_ERRORS:
            break
    return errors
