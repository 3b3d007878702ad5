"""DMARC records: what a published one says, and the one that a domain is to publish.

A record is a tag list (RFC 7489 §6.3, §6.4).  `parse` is strict, because receivers are not alike:
what one of them mends, the next one throws away, and the domain is without a policy there.  Tags
behind v= may be in any order; those that are not known are kept, and receivers ignore them (§6.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from franking.domains.dmarc.stage import STAGES, Stage, below
from franking.reasons import Invalid

if TYPE_CHECKING:  # records asks this module for the record's text
    from franking.domains.models import Domain
    from franking.domains.records import RelayNames

LONGEST = 4096  # characters; nobody's record has as many
_VERSION = re.compile(r"\s*v\s*=\s*DMARC1\s*(?:;|$)")
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.S)
_REPORT_URI = re.compile(
    r"(mailto:[^\s,;!@]+@[^\s,;!@]+|https?://[^\s,;!]+)(![0-9]+[kmgt]?)?", re.I
)
_CHOICES = {
    "p": STAGES,
    "sp": STAGES,
    "np": STAGES,
    "adkim": ("r", "s"),
    "aspf": ("r", "s"),
    "t": ("y", "n"),
    "psd": ("y", "n", "u"),
}


@dataclass(frozen=True)
class Policy:
    """`subdomains` is `sp`; `rua` and `ruf` have their URIs as they were written, `!10m` included.

    `strict_dkim`, `strict_spf`: the alignment wanted is that of equal names.  `testing` is `t=y`.
    `others`: further tags, unchanged.
    """

    policy: Stage
    subdomains: Stage | None = None
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100
    testing: bool = False
    others: tuple[tuple[str, str], ...] = field(default=())

    @property
    def stage(self) -> Stage:
        """What it does to all failing mail: `pct` below 100 and `t=y` leave some of it with the
        milder policy (RFC 7489 §6.6.4)."""
        return below(self.policy) if self.percent < 100 or self.testing else self.policy

    def at(self, stage: Stage) -> Policy:
        """The same with this policy for all mail; a milder or equal one for subdomains stays."""
        return replace(self, policy=stage, percent=100, testing=False)

    def reporting_to(self, uri: str) -> Policy:
        """The same with aggregate reports to this URI, too; the customer's own ones stay."""
        if any(_address(known) == _address(uri) for known in self.rua):
            return self
        return replace(self, rua=(*self.rua, uri))

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._tags())

    def _tags(self) -> Iterator[tuple[str, str]]:
        yield "v", "DMARC1"
        yield "p", self.policy
        if self.subdomains is not None:
            yield "sp", self.subdomains
        if self.rua:
            yield "rua", ",".join(self.rua)
        if self.ruf:
            yield "ruf", ",".join(self.ruf)
        if self.strict_dkim:
            yield "adkim", "s"
        if self.strict_spf:
            yield "aspf", "s"
        if self.percent != 100:
            yield "pct", str(self.percent)
        if self.testing:
            yield "t", "y"
        yield from self.others


def is_dmarc(text: str) -> bool:
    """Whether receivers take this TXT record for a DMARC record: the others do not count."""
    return _VERSION.match(text) is not None


def parse(text: str) -> Policy:
    """The policy of a record's text, its strings joined; raises Invalid with a sentence."""
    if len(text) > LONGEST:
        raise Invalid(f"the DMARC record has more than {LONGEST} characters")
    if not is_dmarc(text):
        raise Invalid("a DMARC record begins with v=DMARC1; written exactly so")
    tags = dict(_each(text))
    for name, choices in _CHOICES.items():
        if name in tags and tags[name].lower() not in choices:
            raise Invalid(f"{name}={tags[name]} is not possible; write {_or(choices, name)}")
    if "p" not in tags:
        raise Invalid("the DMARC record has no p=, so it asks for nothing; p=none is the least")
    subdomains = tags["sp"].lower() if "sp" in tags else None
    own = ("v", "p", "sp", "rua", "ruf", "adkim", "aspf", "pct", "t")
    return Policy(
        policy=cast(Stage, tags["p"].lower()),
        subdomains=cast(Stage | None, subdomains),
        rua=_uris("rua", tags.get("rua", "")),
        ruf=_uris("ruf", tags.get("ruf", "")),
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        percent=_percent(tags.get("pct", "100")),
        testing=tags.get("t", "n").lower() == "y",
        others=tuple((name, value) for name, value in tags.items() if name not in own),
    )


def report_address(domain: Domain, relay: RelayNames) -> str | None:
    """Where receivers send reports about this domain; None without a domain for reports."""
    if not relay.reports or not domain.dmarc_token:
        return None
    return f"{domain.dmarc_token}@{relay.reports}"


def record_for(domain: Domain, relay: RelayNames) -> str:
    """The record to publish at `_dmarc.<domain>`, at the stage that it is known to have."""
    address = report_address(domain, relay)
    return str(
        Policy(cast(Stage, domain.dmarc_stage), rua=(f"mailto:{address}",) if address else ())
    )


def _each(text: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for part in text.split(";"):
        if not part.strip():
            continue  # a final ; is usual
        found = _TAG.fullmatch(part)
        if found is None:
            raise Invalid(f"{part.strip()!r} is not tag=value; tags are separated by ;")
        name = found[1].lower()
        if name in seen:
            raise Invalid(f"the DMARC record has {name}= twice")
        seen.add(name)
        yield name, found[2]


def _uris(name: str, text: str) -> tuple[str, ...]:
    uris = tuple(uri.strip() for uri in text.split(",")) if text.strip() else ()
    for uri in uris:
        if _REPORT_URI.fullmatch(uri) is None:
            raise Invalid(
                f"{name} has {uri!r}; addresses are written mailto:name@example.com,"
                " separated by commas"
            )
    return uris


def _percent(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 100):
        raise Invalid(f"pct={text} is not possible; it is a number from 0 to 100")
    return int(text)


def _address(uri: str) -> str:
    return uri.partition("!")[0].lower()


def _or(choices: tuple[str, ...], name: str) -> str:
    return " or ".join(f"{name}={choice}" for choice in choices)
