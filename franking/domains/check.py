"""Are a domain's records published?

`resolve(name)` gives the texts of a name's TXT records (strings joined), an empty list when there
are none, and raises LookupTrouble when the DNS could not be asked: that is nobody's proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.resolver

from franking.domains.records import Record

Resolve = Callable[[str], list[str]]
TIMEOUT = 5.0


class LookupTrouble(Exception):
    """The DNS gave no answer; try again later."""


@dataclass(frozen=True)
class Finding:
    """`status`: verified, missing, wrong or temporary_failure; `found` is what is there instead."""

    record: Record
    status: str
    found: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """The sentence that says what to do."""
        record = self.record
        match self.status:
            case "verified":
                return f"{record.name}: published"
            case "missing":
                return f"{record.name}: add a {record.type} record with the value {record.value!r}"
            case "wrong":
                return (
                    f"{record.name}: found {', '.join(map(repr, self.found))};"
                    f" change it to {record.value!r}"
                )
        return f"{record.name}: the DNS did not answer; try again later"


def check(records: Sequence[Record], resolve: Resolve) -> list[Finding]:
    """One finding per record, in order."""
    return [_check_one(record, resolve) for record in records]


def _check_one(record: Record, resolve: Resolve) -> Finding:
    try:
        found = resolve(record.name)
    except LookupTrouble:
        return Finding(record, "temporary_failure")
    if any(_same(text, record.value) for text in found):
        return Finding(record, "verified")
    return Finding(record, "wrong" if found else "missing", tuple(found))


def _same(found: str, expected: str) -> bool:
    """White space around `;` and `=` means nothing in a tag list (RFC 6376 §3.2)."""
    return "".join(found.split()) == "".join(expected.split())


def resolve_txt(name: str) -> list[str]:
    """`resolve` over the system's resolvers."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=TIMEOUT)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise LookupTrouble(str(error)) from error
    return [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in answer]
