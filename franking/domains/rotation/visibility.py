"""Does everybody see a key's record?  A key signs only while the answer is yes.

Everybody is the zone's own servers and each of the configured resolvers.  Two keys of one selector
would be as bad as none: which of them a verifier takes is undefined (RFC 6376 §3.6.2.2).
"""

from __future__ import annotations

from franking.dns.answers import Answer, Lookup
from franking.domains.checks.dkim import tags
from franking.domains.records import Record


def sees(lookup: Lookup, record: Record) -> bool | None:
    """Whether all see exactly the key of this TXT record; None when somebody did not answer."""
    own = lookup.authoritative(record.name, "TXT")
    if own.status != "trouble" and not _shows(own, record):
        return False  # nobody else need be asked
    answers = [own, *lookup.resolved(record.name, "TXT")]
    if any(a.status != "trouble" and not _shows(a, record) for a in answers):
        return False
    return None if any(a.status == "trouble" for a in answers) else True


def _shows(answer: Answer, record: Record) -> bool:
    wanted = tags(record.value) or {}
    if len(answer.values) != 1:
        return False
    found = tags(answer.values[0]) or {}
    return all(found.get(tag) == wanted.get(tag) for tag in ("p", "k")) and (
        found.get("v", "DKIM1") == "DKIM1"
    )
