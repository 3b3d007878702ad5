"""Does a record of SPF let this address send (RFC 7208 §4)?

For our own records, so without macros: what they decide is not known (None).  What a customer's
record should be is another question (`franking.domains.checks.spf`).
"""

from __future__ import annotations

import ipaddress
import re

from franking.deliverability.blocklists import Address
from franking.deliverability.findings import addresses_of, resolved
from franking.dns.answers import Lookup
from franking.domains.checks.lookups import MOST
from franking.domains.checks.terms import VERSION, Term, is_spf, parse

_LENGTHS = re.compile(r"(/\d+)?(?:/(/\d+))?")


def record_of(lookup: Lookup, domain: str) -> tuple[str, ...] | None:
    """Its SPF records, one if all is well; None when nobody has answered."""
    answer = resolved(lookup, domain, "TXT")
    if answer.status == "trouble":
        return None
    return tuple(text for text in answer.values if is_spf(text))


def permits(lookup: Lookup, text: str, domain: str, address: Address) -> bool | None:
    """`text`: a record, or mechanisms alone; `domain`: whose it is.

    None when the DNS has not answered, or when only a macro could tell.
    """
    record = text if is_spf(text) else f"{VERSION} {text}"
    return _Evaluation(lookup, address).evaluate(record, domain)


class _Evaluation:
    def __init__(self, lookup: Lookup, address: Address) -> None:
        self._lookup = lookup
        self._address = address
        self._left = MOST

    def evaluate(self, record: str, domain: str) -> bool | None:
        redirect, possible = "", set()
        for term in parse(record):
            if term.name == "redirect":
                redirect = term.domain
            elif not term.is_modifier:
                matched = self._matches(term, domain)
                if matched is None:  # it might have ended here
                    possible.add(term.passes)
                elif matched:
                    return term.passes if possible <= {term.passes} else None
        found = self._follow(redirect) if redirect else False
        return found if possible <= {found} else None

    def _matches(self, term: Term, domain: str) -> bool | None:
        match term.name:
            case "all":
                return True
            case "ip4" | "ip6":
                return self._within(term.domain)
            case "include":
                return self._follow(term.domain)
            case "a" | "mx" if not term.has_macro:
                return self._named(term, domain)
        return None if term.valid else False

    def _follow(self, domain: str) -> bool | None:
        if not self._counted() or "%" in domain:
            return None
        records = record_of(self._lookup, domain)
        if records is None:
            return None
        return self.evaluate(records[0], domain) if len(records) == 1 else False

    def _named(self, term: Term, domain: str) -> bool | None:
        hosts = self._hosts(term.name, term.target(domain)) if self._counted() else None
        if hosts is None:
            return None
        lengths = _LENGTHS.fullmatch(term.lengths)
        length = lengths[1 if self._address.version == 4 else 2] if lengths else None
        for host in hosts:
            found, trouble = addresses_of(self._lookup, host)
            if any(self._within(f"{value}{length or ''}") for value in found):
                return True
            if trouble is not None:
                return None
        return False

    def _hosts(self, mechanism: str, name: str) -> list[str] | None:
        if mechanism == "a":
            return [name]
        answer = resolved(self._lookup, name, "MX")
        if answer.status == "trouble":
            return None
        return [value.split()[-1] for value in answer.values][:MOST]

    def _within(self, network: str) -> bool:
        try:
            return self._address in ipaddress.ip_network(network, strict=False)
        except ValueError:
            return False

    def _counted(self) -> bool:
        self._left -= 1
        return self._left >= 0
