"""`expected_records`: the one truth about the DNS records of a sending domain.

The panel shows them, the CLI prints them, the zone file has them, the check looks for them.  Mail
is taken as soon as the required ones are published; the advised ones make it arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from franking.domains.models import DkimKey, Domain
from franking.settings import Settings

STRING = 255  # octets of one string of a TXT record (RFC 1035 §3.3)
PURPOSES = ("ownership", "dkim", "return_path", "spf", "dmarc", "tracking")


@dataclass(frozen=True)
class RelayNames:
    """Names of the relay that customers' records mention; empty: that record is not asked for.

    `spf`: mechanisms such as `include:spf.example.net`.  `reports`: domain of rua addresses.
    """

    bounces: str = ""
    spf: str = ""
    dkim_zone: str = ""
    reports: str = ""
    tracking: str = ""
    ttl: int = 3600

    @classmethod
    def of(cls, settings: Settings) -> RelayNames:
        dns = settings.dns
        return cls(
            settings.bounces.domain, dns.spf, settings.dkim.zone, settings.dmarc.reports,
            dns.tracking, dns.ttl,
        )  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One record to publish.

    `value`: of TXT the text, unquoted; of CNAME the target without the final dot.  `why`: what it
    is for, a sentence.  `zone`: the sending domain, which names are shown relative to.  `key_id`:
    of `dkim`, whose it is.
    """

    purpose: str
    name: str
    type: str
    value: str
    required: bool = True
    why: str = ""
    ttl: int = 3600
    zone: str = ""
    key_id: int | None = None

    @property
    def relative_name(self) -> str:
        """As a provider wants it that adds the zone by itself; `@` is the zone."""
        if self.name == self.zone:
            return "@"
        return self.name.removesuffix(f".{self.zone}") if self.zone else self.name

    @property
    def strings(self) -> tuple[str, ...]:
        """The value of a TXT record in strings of 255 octets (it is ASCII)."""
        return tuple(self.value[n : n + STRING] for n in range(0, len(self.value), STRING)) or ("",)

    @property
    def quoted(self) -> str:
        """As in a zone file: `"v=DKIM1; …" "…"`; a target with its final dot."""
        if self.type != "TXT":
            return f"{self.value}."
        return " ".join(f'"{string}"' for string in self.strings)


def expected_records(
    domain: Domain, keys: Sequence[DkimKey], relay: RelayNames | None = None
) -> list[Record]:
    """Ownership first, then DKIM (RFC 6376 §3.6.1), then what is advised.

    A key that is retiring is expected no more; its record shall stay until `remove_at`.
    """
    ownership = Record(
        "ownership",
        f"_franking.{domain.name}",
        "TXT",
        f"franking-verify={domain.ownership_token}",
        zone=domain.name,
    )
    return [ownership] + [
        Record(
            "dkim",
            f"{key.selector}._domainkey.{domain.name}",
            "TXT",
            dkim_value(key),
            zone=domain.name,
            key_id=key.id,
        )
        for key in keys
        if key.state != "retiring"
    ]


def dkim_value(key: DkimKey) -> str:
    """The text of a key's record (RFC 6376 §3.6.1, RFC 8463 §4)."""
    return f"v=DKIM1; k={key.algorithm.partition('-')[0]}; p={key.public_key}"
