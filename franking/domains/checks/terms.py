"""The grammar of SPF records (RFC 7208 §4.5, §4.6.1, §12), and what one term means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VERSION = "v=spf1"
COUNTED = ("include", "a", "mx", "ptr", "exists", "redirect")  # RFC 7208 §4.6.4

_MECHANISM = re.compile(r"([-+~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?![^:/])(.*)", re.I | re.S)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.S)
_DOMAIN = re.compile(r"(?:[A-Za-z0-9._,+/=-]|%\{[^{}\s]+\}|%[%_-])+")
_LAST_LABEL = re.compile(r".*\.(?=[A-Za-z0-9-]*[A-Za-z-])[A-Za-z0-9][A-Za-z0-9-]*\.?|.*\}\.?")
_LENGTHS = re.compile(r"(?:/(\d{1,2}))?(?://(\d{1,3}))?")


@dataclass(frozen=True)
class Term:
    """`domain`: without the colon and the `/24` of a and mx, which is `lengths`; "" for the
    record's own.  Of ip4 and ip6 it is the network.  `qualifier` is "" for a modifier.
    """

    text: str
    qualifier: str
    name: str
    domain: str = ""
    lengths: str = ""
    valid: bool = True

    @property
    def is_modifier(self) -> bool:
        return not self.qualifier

    @property
    def passes(self) -> bool:
        return self.qualifier == "+"

    @property
    def has_macro(self) -> bool:
        """Its name depends on the message, so that it cannot be looked up beforehand."""
        return "%" in self.domain

    def target(self, current: str) -> str:
        """The name that it looks at, in the record of `current`."""
        return (self.domain or current).lower().removesuffix(".")

    def same_as(self, other: Term) -> bool:
        """The same mechanism, whatever its qualifier."""
        return (self.name, self.target(""), self.lengths) == (
            other.name, other.target(""), other.lengths,
        )  # fmt: skip

    def covers(self, other: Term) -> bool:
        """Whether every address that the other passes is passed by this one, too."""
        if not self.passes:
            return False
        if self.name == "all" or self.same_as(other):
            return True
        mine, theirs = self._network(), other._network()
        if isinstance(mine, ipaddress.IPv4Network) and isinstance(theirs, ipaddress.IPv4Network):
            return theirs.subnet_of(mine)
        if isinstance(mine, ipaddress.IPv6Network) and isinstance(theirs, ipaddress.IPv6Network):
            return theirs.subnet_of(mine)
        return False

    @property
    def is_everybody(self) -> bool:
        network = self._network()
        return self.name == "all" or (network is not None and network.prefixlen == 0)

    def _network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        return _network(self.name, self.domain)


def is_spf(text: str) -> bool:
    """Whether receivers take this TXT record for an SPF record (RFC 7208 §4.5)."""
    return text[:7].lower().rstrip(" ") == VERSION


def parse(record: str) -> tuple[Term, ...]:
    """The terms of a record, the ones that are no SPF marked; never raises."""
    return tuple(_term(text) for text in record.split(" ")[1:] if text)


def mechanisms(text: str) -> tuple[Term, ...]:
    """The mechanisms of a record, or of terms alone, save `all`."""
    terms = parse(text if is_spf(text) else f"{VERSION} {text}")
    return tuple(term for term in terms if not term.is_modifier and term.name != "all")


def invalid(terms: Iterable[Term]) -> Iterator[Term]:
    """What makes receivers give up: a term that is none, or two redirects (RFC 7208 §6)."""
    once: set[str] = set()
    for term in terms:
        if not term.valid or (term.name in once and term.is_modifier):
            yield term
        if term.name in ("redirect", "exp"):
            once.add(term.name)


def _term(text: str) -> Term:
    found = _MODIFIER.fullmatch(text)
    if found and not _MECHANISM.fullmatch(text):
        name, domain = found[1].lower(), found[2]
        known = name in ("redirect", "exp")
        return Term(text, "", name, domain, valid=not known or _is_domain(domain))
    found = _MECHANISM.fullmatch(text)
    if not found:
        return Term(text, "+", "", text, valid=False)
    name, rest = found[2].lower(), found[3]
    domain, lengths = _split(name, rest)
    return Term(text, found[1] or "+", name, domain, lengths, valid=_valid(name, rest))


def _split(name: str, rest: str) -> tuple[str, str]:
    value = rest.removeprefix(":")
    if name not in ("a", "mx"):
        return value, ""
    domain, slash, lengths = value.partition("/")
    return domain, slash + lengths


def _valid(name: str, rest: str) -> bool:
    domain, lengths = _split(name, rest)
    explicit = rest.startswith(":")
    match name:
        case "all":
            return not rest
        case "ip4" | "ip6":
            return explicit and _network(name, domain) is not None
        case "include" | "exists":
            return explicit and _is_domain(domain)
        case "ptr":
            return _is_domain(domain) if rest else True
    found = _LENGTHS.fullmatch(lengths)
    good = found is not None and int(found[1] or 0) <= 32 and int(found[2] or 0) <= 128
    return good and (_is_domain(domain) if explicit else True)


def _is_domain(text: str) -> bool:
    return bool(_DOMAIN.fullmatch(text) and _LAST_LABEL.fullmatch(text) and ".." not in text)


def _network(name: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    _, slash, length = text.partition("/")
    if slash and not (length.isascii() and length.isdigit()):
        return None  # ipaddress would take a netmask, SPF does not
    try:
        if name == "ip4":
            return ipaddress.IPv4Network(text, strict=False)
        return ipaddress.IPv6Network(text, strict=False) if name == "ip6" else None
    except ValueError:
        return None
