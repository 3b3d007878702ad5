"""Which envelope addresses are plain enough to be logged, billed and shown.

MAIL FROM and RCPT TO end up in Postfix's log, which the worker bills by.  A quoted local part may
hold a whole forged log line (`"x>, relay=none, …, status=sent (250 ok) to=<"@example.net`, which
Postfix accepts and logs as it is), so the local part must be a dot-atom (RFC 5321 §4.1.2), of
UTF-8 characters too (RFC 6531 §3.3).  Postfix hands addresses over without their quotes: what
needed them is no dot-atom, what did not is harmless.

The domain is a dot-atom too: no address literal.  Whether it exists is not asked here.
"""

from __future__ import annotations

import re
import unicodedata

from franking.domains.names import to_ascii
from franking.reasons import Invalid

LONGEST = 254  # octets: RFC 5321 §4.5.3.1.3 without the angle brackets
LONGEST_DOMAIN = 253
# No limit of 64 for the local part, although RFC 5321 has one: VERP and reply tokens exceed it.

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


def objection(address: str) -> str | None:
    """Why this address is refused, as the end of a sentence; None when it is plain.

    The caller allows the null sender.
    """
    local, at, domain = address.rpartition("@")
    checks = (
        (not address, "it is empty"),
        (not _showable(address), "it contains a control or invisible character"),
        (len(address.encode(errors="replace")) > LONGEST, f"it is longer than {LONGEST} octets"),
        (address.startswith("@"), "it contains a source route"),
        (not at or not local or not domain, "it is not of the form name@domain"),
        (domain.startswith("["), "its domain is an address literal"),
        (not _DOT_ATOM.fullmatch(domain), "its domain is not a domain name"),
        (len(domain) > LONGEST_DOMAIN, "its domain is too long"),
        (not _DOT_ATOM.fullmatch(local), "the part before the @ would need quoting"),
    )
    return next((why for found, why in checks if found), None)


def sending_domain(address: str) -> str | None:
    """The domain in A-labels; None of the null sender and of what is no domain name."""
    try:
        return to_ascii(address.rpartition("@")[2])
    except Invalid:
        return None


def _showable(address: str) -> bool:
    """No control, format or unassigned character, no separator but the space, no broken UTF-8."""
    if address.isascii():
        return address.isprintable()
    kinds = (unicodedata.category(c) for c in address if c != " ")
    return "\ufffd" not in address and not any(kind[0] in "CZ" for kind in kinds)
