"""`expected_records`: the one truth about the DNS records of a sending domain.

The panel shows them, the CLI prints them, the zone file has them, the check looks for them.  Mail
is taken as soon as the required ones are published; the advised ones make it arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from franking.domains.dmarc.record import record_for
from franking.domains.models import DkimKey, Domain
from franking.domains.rotation import selectors
from franking.settings import Settings

STRING = 255  # octets of one string of a TXT record (RFC 1035 §3.3)
PURPOSES = ("ownership", "dkim", "return_path", "spf", "dmarc", "tracking")

OWNERSHIP = "Proves that this domain is yours; nobody else can have this value."
KEY = "Lets receivers check the signature that is put on each of your messages."
NEXT_KEY = "The key that will sign next; it takes over as soon as everybody can see its record."
SLOT = "Points to the key that signs your messages, so that it can be replaced without you."
NEXT_SLOT = "Points to the place of the next key: published once, it is never asked of you again."
RETURN_PATH = "Bounces come back to a name of yours, so that SPF counts for your domain."
SPF = (
    "Says which servers may send for this domain. If it has an SPF record, extend that one:"
    " two are worse than none."
)
DMARC = "Tells receivers what to do with mail that only claims to be yours, and asks for reports."
TRACKING = "Links in your messages go through a name of yours."


@dataclass(frozen=True)
class RelayNames:
    """Names of the relay that customers' records mention; empty: that record is not asked for.

    `spf`: mechanisms such as `include:spf.example.net`.  `reports`: domain of rua addresses.
    `slots`: selectors of the CNAMEs into `dkim_zone`.
    """

    bounces: str = ""
    spf: str = ""
    dkim_zone: str = ""
    reports: str = ""
    tracking: str = ""
    ttl: int = 3600
    slots: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> RelayNames:
        dns = settings.dns
        return cls(
            settings.bounces.domain, dns.spf, settings.dkim.zone, settings.dmarc.reports,
            dns.tracking, dns.ttl, selectors.slots(settings.dkim, settings.brand.prefix),
        )  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One record to publish.

    `value`: of TXT the text, unquoted; of CNAME the target without the final dot.  `why`: what it
    is for, a sentence or two.  `zone`: the sending domain, which names are shown relative to.
    `key_id`: of `dkim`, whose it is; None for a slot that has no key yet.  `behind`: of the CNAME
    of a key that signs, the text that the relay's own zone must have at its target.  `slot`: of
    a key behind a CNAME, or that was while there was a zone, how the target begins in any zone.
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
    behind: str = ""
    slot: str = ""

    @property
    def relative_name(self) -> str:
        """As a provider wants it that adds the zone by itself; `@` is the zone."""
        return self.relative_to(self.zone)

    def relative_to(self, zone: str) -> str:
        """The same for another zone: `mail.example.com` is often a part of `example.com`'s."""
        if self.name == zone:
            return "@"
        return self.name.removesuffix(f".{zone}") if zone else self.name

    @property
    def strings(self) -> tuple[str, ...]:
        """The value of a TXT record in strings of 255 octets (it is ASCII)."""
        return strings(self.value)

    @property
    def quoted(self) -> str:
        """As in a zone file: `"v=DKIM1; …" "…"`; a target with its final dot."""
        return quoted(self.value) if self.type == "TXT" else f"{self.value}."


def strings(text: str) -> tuple[str, ...]:
    return tuple(text[n : n + STRING] for n in range(0, len(text), STRING)) or ("",)


def quoted(text: str) -> str:
    """A text as a TXT record has it in a zone file (RFC 1035 §5.1)."""
    escaped = (string.replace("\\", r"\\").replace('"', r"\"") for string in strings(text))
    return " ".join(f'"{string}"' for string in escaped)


def expected_records(
    domain: Domain, keys: Sequence[DkimKey], relay: RelayNames | None = None
) -> list[Record]:
    """Ownership first, then DKIM (RFC 6376 §3.6.1), then what is advised.

    A key that is retiring is expected no more; its record shall stay until `remove_at`.
    """
    return list(_records(domain, keys, relay or RelayNames()))


def _records(domain: Domain, keys: Sequence[DkimKey], relay: RelayNames) -> Iterator[Record]:
    def record(
        purpose: str,
        label: str,
        type: str,
        value: str,
        why: str,
        *,
        required: bool = False,
        key: DkimKey | None = None,
    ) -> Record:
        name = f"{label}.{domain.name}" if label else domain.name
        behind = dkim_value(key) if key and key.state == "active" and type == "CNAME" else ""
        delegated = purpose == "dkim" and (type == "CNAME" or (key and key.method == "cname"))
        slot = slot_of(domain, label.partition(".")[0]) if delegated else ""
        return Record(
            purpose, name, type, value, required, why, relay.ttl, domain.name,
            key.id if key else None, behind, slot,
        )  # fmt: skip

    token = f"franking-verify={domain.ownership_token}"
    yield record("ownership", "_franking", "TXT", token, OWNERSHIP, required=True)
    current = [key for key in keys if key.state != "retiring"]
    delegated = {
        key.selector: key for key in current if key.method == "cname" and _has_zone(domain, relay)
    }
    for key in current:
        if key.selector not in delegated:
            yield record(
                "dkim",
                f"{key.selector}._domainkey",
                "TXT",
                dkim_value(key),
                KEY if key.state == "active" else NEXT_KEY,
                required=key.state == "active",
                key=key,
            )
    wanted = relay.slots if domain.dkim_method == "cname" and _has_zone(domain, relay) else ()
    for selector in dict.fromkeys((*wanted, *delegated)):
        holder = delegated.get(selector)
        signs = holder is not None and holder.state == "active"
        yield record(
            "dkim",
            f"{selector}._domainkey",
            "CNAME",
            slot_target(domain, selector, relay),
            SLOT if signs else NEXT_SLOT,
            required=signs,
            key=holder,
        )
    if relay.bounces:
        yield record("return_path", domain.return_path_host, "CNAME", relay.bounces, RETURN_PATH)
    if relay.spf:
        yield record("spf", "", "TXT", f"v=spf1 {relay.spf} -all", SPF)
    yield record("dmarc", "_dmarc", "TXT", record_for(domain, relay), DMARC)
    if domain.tracking_host and relay.tracking:
        yield record("tracking", domain.tracking_host, "CNAME", relay.tracking, TRACKING)


def _has_zone(domain: Domain, relay: RelayNames) -> bool:
    """Without a zone of the relay's own, keys behind CNAMEs become the customer's TXT records."""
    return bool(relay.dkim_zone and domain.dkim_token)


def slot_target(domain: Domain, selector: str, relay: RelayNames) -> str:
    """Where a slot's CNAME points to, and the relay's zone has the key; the token is per domain."""
    return f"{slot_of(domain, selector)}{relay.dkim_zone}"


def slot_of(domain: Domain, selector: str) -> str:
    return f"{selector}.{domain.dkim_token}."


def dkim_value(key: DkimKey) -> str:
    """The text of a key's record (RFC 6376 §3.6.1, RFC 8463 §4)."""
    return f"v=DKIM1; k={key.algorithm.partition('-')[0]}; p={key.public_key}"
