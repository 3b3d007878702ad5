"""Domain names in the one form that the database compares: lower-case A-labels.

UTS 46 mapping, then IDNA 2008 (RFC 5891), through the `idna` package.  Host name rules apply
(letters, digits, hyphens): an underscore is refused, as is a name without a dot.
Names under which anybody may register are those of the Public Suffix List
(https://publicsuffix.org), its private section included: `co.uk` and `github.io`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

from franking.reasons import Invalid

LONGEST = 253  # RFC 1035 §2.3.4, without the final dot
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_label(text: str) -> bool:
    """Whether it is one label of a host name, in lower case; 63 octets at most."""
    return _LABEL.fullmatch(text) is not None


def to_ascii(domain: str) -> str:
    """`Bücher.Example` → `xn--bcher-kva.example`; raises Invalid with a sentence."""
    name = domain.strip().removesuffix(".")
    if name.isascii():
        ascii_name = name.lower()
    else:
        try:
            ascii_name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise Invalid(f"{domain!r} is not a valid internationalised domain name") from error
    labels = ascii_name.split(".")
    if len(ascii_name) > LONGEST or not all(map(is_label, labels)):
        raise Invalid(f"{domain!r} is not a valid domain name")
    if len(labels) < 2 or labels[-1].isdigit():
        raise Invalid(f"{domain!r} is not a full domain name such as example.com")
    return ascii_name


def to_unicode(ascii_name: str) -> str:
    """For display only; a name that is no valid IDNA comes back as it is."""
    try:
        return idna.decode(ascii_name)
    except (idna.IDNAError, UnicodeError):
        return ascii_name


def within(name: str, domains: Iterable[str]) -> bool:
    """Whether `name` is one of these domains or below one; all in lower-case A-labels."""
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def and_above(name: str) -> list[str]:
    """a.b.example.com → itself, b.example.com, example.com: nobody owns a top-level domain."""
    labels = name.split(".")
    return [".".join(labels[n:]) for n in range(max(len(labels) - 1, 1))]


def is_public_suffix(name: str) -> bool:
    """Whether others may have names directly below this one (lower-case A-labels)."""
    return _public_suffixes().is_public(name)


def organisational(name: str) -> str:
    """mail.example.co.uk → example.co.uk (RFC 7489 §3.2); a public suffix is its own."""
    return _public_suffixes().privatesuffix(name) or name


@cache
def _public_suffixes() -> PublicSuffixList:
    """Of the package's own copy; reading it takes a tenth of a second."""
    return PublicSuffixList()
