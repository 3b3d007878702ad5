"""How many look-ups an SPF record costs its receivers, and what they find (RFC 7208 §4.6.4).

Every include, a, mx, ptr, exists and redirect counts, wherever it is; the eleventh ends the
evaluation with an error, as does the third name without records ("void").  Which of them a receiver
really comes to depends on the sender's address, so all are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from franking.dns.answers import Answer
from franking.domains.checks.terms import COUNTED, Term, invalid, is_spf, parse

MOST = 10
MOST_VOID = 2
CEILING = 40  # nobody counts further: a record may be made to be endless

Ask = Callable[[str, str], Answer]


@dataclass(frozen=True)
class Place:
    """A term and the domain in whose record it stands; `via`: the first record's term that leads
    there, or the term itself."""

    at: str
    term: Term
    via: str


@dataclass
class Tree:
    """`costs`: look-ups by each term of the first record.  `passes`: all that is let through.

    `loops`, `broken` and `invalid` are errors to every receiver; `broken` says what is there
    instead of an SPF record.  `trouble`: questions that nobody has answered.
    """

    lookups: int = 0
    costs: dict[str, int] = field(default_factory=dict)
    voids: list[str] = field(default_factory=list)
    loops: list[tuple[Place, tuple[str, ...]]] = field(default_factory=list)
    broken: list[tuple[Place, str]] = field(default_factory=list)
    invalid: list[Place] = field(default_factory=list)
    trouble: list[Answer] = field(default_factory=list)
    passes: list[Place] = field(default_factory=list)

    def covers(self, wanted: Term) -> bool:
        return any(place.term.covers(wanted) for place in self.passes)

    @property
    def everybody(self) -> Place | None:
        return next((place for place in self.passes if place.term.is_everybody), None)


def lookups(record: str, ask: Ask, domain: str = "") -> int:
    """The number alone; at most about `CEILING`."""
    return tree(record, ask, domain).lookups


def tree(record: str, ask: Ask, domain: str = "") -> Tree:
    """All that is behind the record of `domain`; `ask(name, type)` is a resolver."""
    walk = _Walk(ask)
    walk.record(record, domain.lower(), (domain.lower(),), passing=True)
    return walk.tree


class _Walk:
    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.tree = Tree()
        self.via = ""

    def record(self, text: str, at: str, path: tuple[str, ...], *, passing: bool) -> None:
        terms = parse(text)
        first = len(path) == 1
        for term in invalid(terms):
            self.tree.invalid.append(Place(at, term, term.text if first else self.via))
        ends = any(term.name == "all" and term.valid for term in terms)
        for term in terms:
            if not term.valid or (term.name == "redirect" and ends):
                continue  # redirect= is ignored where there is an all (RFC 7208 §6.1)
            self.via = term.text if first else self.via
            if passing and term.passes:
                self.tree.passes.append(Place(at, term, self.via))
            before = self.tree.lookups
            if term.name in COUNTED and before < CEILING:
                self.tree.lookups += 1
                self.follow(Place(at, term, self.via), path, passing=passing)
            if first and self.tree.lookups > before:
                known = self.tree.costs.get(term.text, 0)
                self.tree.costs[term.text] = known + self.tree.lookups - before
            if term.name == "all":
                return  # nobody comes to what is behind it

    def follow(self, place: Place, path: tuple[str, ...], *, passing: bool) -> None:
        term, name = place.term, place.term.target(place.at)
        if term.has_macro or term.name == "ptr":
            return  # what is asked depends on the message
        if term.name in ("include", "redirect"):
            self.record_of(place, name, path, passing=passing and term.qualifier in ("", "+"))
        elif term.name == "mx":
            self.exists(name, "MX")
        else:
            self.exists(name, "A", *(["AAAA"] if term.name == "a" else []))

    def record_of(self, place: Place, name: str, path: tuple[str, ...], *, passing: bool) -> None:
        if name in path:
            self.tree.loops.append((place, (*path[path.index(name) :], name)))
            return
        answer = self.ask(name, "TXT")
        if answer.status == "trouble":
            self.tree.trouble.append(answer)
            return
        texts = [text for text in answer.values if is_spf(text)]
        if len(texts) == 1:
            self.record(texts[0], name, (*path, name), passing=passing)
            return
        there = "more than one SPF record" if texts else "no SPF record"
        self.tree.broken.append((place, there))

    def exists(self, name: str, *types: str) -> None:
        answers = [self.ask(name, type) for type in types]
        if any(answer.status == "found" for answer in answers):
            return
        troubled = [answer for answer in answers if answer.status == "trouble"]
        self.tree.trouble += troubled
        if not troubled:
            self.tree.voids.append(name)
