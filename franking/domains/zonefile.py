"""The expected records as a file that DNS providers and name servers read (RFC 1035 §5).

It has neither SOA nor NS: it is for adding to a zone, by import or by `$INCLUDE`.
"""

from __future__ import annotations

from collections.abc import Sequence

from franking.domains.records import Record

CALLED = {
    "ownership": "ownership",
    "dkim": "DKIM",
    "return_path": "return path",
    "spf": "SPF",
    "dmarc": "DMARC",
    "tracking": "tracking",
}


def zone_text(records: Sequence[Record], *, origin: str | None = None) -> str:
    """A master file whose names are relative to `origin`, by default the sending domain."""
    zone = origin or (records[0].zone if records else "")
    head = f"$ORIGIN {zone}.\n" if zone else ""
    return head + "".join(f"\n{_entry(record, zone)}" for record in records)


def _entry(record: Record, zone: str) -> str:
    name = record.relative_to(zone)
    if name == record.name:  # outside the zone
        name += "."
    need = "required" if record.required else "advised"
    called = CALLED.get(record.purpose, record.purpose)
    comment = " ".join(f"{called}, {need}: {record.why}".split())
    return f"; {comment}\n{name} {record.ttl} IN {record.type} {record.quoted}\n"
