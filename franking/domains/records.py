"""`expected_records`: the one truth about the DNS records of a sending domain.

The panel shows them, the CLI prints them, the check looks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from franking.domains.models import DkimKey, Domain


@dataclass(frozen=True)
class Record:
    """One record to publish; `value` is the unquoted text of a TXT record."""

    purpose: str
    name: str
    type: str
    value: str


def expected_records(domain: Domain, keys: Sequence[DkimKey]) -> list[Record]:
    """Ownership first, then one record per active DKIM key (RFC 6376 §3.6.1)."""
    ownership = Record(
        "ownership",
        f"_franking.{domain.name}",
        "TXT",
        f"franking-verify={domain.ownership_token}",
    )
    return [ownership] + [
        Record(
            "dkim",
            f"{key.selector}._domainkey.{domain.name}",
            "TXT",
            f"v=DKIM1; k={key.algorithm.partition('-')[0]}; p={key.public_key}",
        )
        for key in keys
        if key.active
    ]
