"""Names of keys: where in the DNS a receiver looks for them (RFC 6376 §3.1).

A TXT record's selector tells its date, `s2026q4`, and is used once.  Behind CNAMEs there are two
slots for each algorithm, `frank1` and `frank2`, used in turn: the customer publishes them once.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from datetime import datetime

from franking.domains.config import Dkim
from franking.domains.dkim import ED25519, RSA
from franking.domains.names import is_label
from franking.reasons import Invalid

SUFFIX = {RSA: "", ED25519: "e"}


def slots_of(algorithm: str, prefix: str) -> tuple[str, str]:
    """Both slots of an algorithm; `prefix` is the brand's."""
    return f"{prefix}1{SUFFIX[algorithm]}", f"{prefix}2{SUFFIX[algorithm]}"


def slots(own: Dkim, prefix: str) -> tuple[str, ...]:
    """All that a customer's CNAMEs are expected for."""
    return tuple(slot for algorithm in algorithms(own) for slot in slots_of(algorithm, prefix))


def algorithms(own: Dkim) -> tuple[str, ...]:
    """What a domain's mail is to be signed with."""
    return (RSA, ED25519) if own.ed25519 else (RSA,)


def dated(own: Dkim, moment: datetime, algorithm: str, taken: Collection[str] = ()) -> str:
    """`s2026q4`; of the same quarter's next key `s2026q4-2`; of Ed25519 `s2026q4e`."""
    quarter = (moment.month + 2) // 3
    base = own.selector.format(year=moment.year, quarter=quarter, month=moment.month)
    for number in itertools.count(1):
        name = f"{base}{'' if number == 1 else f'-{number}'}{SUFFIX[algorithm]}"
        if name not in taken:
            return name
    raise AssertionError("unreachable")


def checked(selector: str) -> str:
    """One label, as an operator has typed it; raises Invalid."""
    name = selector.strip().lower()
    if not is_label(name):
        raise Invalid.of("selector", f"{selector!r} is no selector: letters, digits and hyphens")
    return name
