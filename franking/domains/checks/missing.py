"""Nothing is at the record's name: where it went instead.

A record counts as found elsewhere only if it is right there: what a wildcard answers for every
name is no trace of anybody's mistake.
"""

from __future__ import annotations

from collections.abc import Iterator

from franking.dns.answers import Answer
from franking.domains.checks import alias, dmarc
from franking.domains.checks.finding import Verdict, absent, wrong
from franking.domains.checks.judges import judge
from franking.domains.checks.scene import Scene
from franking.domains.names import and_above, within
from franking.domains.records import Record


def explain(record: Record, answer: Answer, verdict: Verdict, scene: Scene) -> Verdict:
    """A better verdict than `absent`, or that one."""
    return (
        _alias(record, answer, scene)
        or (dmarc.inherited(record, scene) if record.purpose == "dmarc" else None)
        or (alias.instead(record, answer, scene) if record.type == "CNAME" else None)
        or _no_domain(record, answer, scene)
        or _elsewhere(record, scene)
        or _other_zone(record, scene)
        or absent(found=verdict.found, servers=_servers(scene.zone(record), record, scene))
    )


def _alias(record: Record, answer: Answer, scene: Scene) -> Verdict | None:
    if record.type == "CNAME" or not answer.aliases or scene.is_wildcard(record.name, answer):
        return None
    fault = "cname_at_apex" if record.name == record.zone else "foreign_cname"
    return wrong(fault, answer.aliases[:1], target=answer.aliases[0])


def _no_domain(record: Record, answer: Answer, scene: Scene) -> Verdict | None:
    if answer.status != "nxdomain":
        return None
    domain = scene.registered(record)
    if scene.authoritative(domain, "NS").status != "nxdomain":
        return None
    return absent("domain_missing", missing=domain, zone=domain)


def _elsewhere(record: Record, scene: Scene) -> Verdict | None:
    for fault, there in _mistaken(record, scene):
        answer = scene.authoritative(there, record.type)
        if answer.status == "found" and judge(record, answer, scene).state == "right":
            return wrong(fault, answer.values, there=there)
    return None


def _mistaken(record: Record, scene: Scene) -> Iterator[tuple[str, str]]:
    """Names that the record gets when a form's host is filled in wrongly."""
    zone = scene.zone(record)
    tried = {record.name}
    for base in ("", *and_above(record.zone)):
        typed = record.relative_to(base)
        there = zone if typed == "@" else f"{typed}.{zone}"
        doubled = base != zone and (not base or within(zone, [base]))
        if there not in tried and (doubled or record.purpose != "spf"):
            tried.add(there)
            yield ("name_doubled" if doubled else "misplaced"), there
    if "_" in record.name:
        yield "underscore_dropped", record.name.replace("_", "")
    if record.purpose in ("ownership", "dkim") and record.type == "TXT":
        yield from (("misplaced", place) for place in dict.fromkeys((record.zone, zone)))


def _other_zone(record: Record, scene: Scene) -> Verdict | None:
    """The record is below a delegation, so what the zone above says about it is never asked."""
    zone, home = scene.zone_of(record.name), scene.zone_of(record.zone)
    if zone is None or home is None:
        return None
    if zone != home and within(zone, [home]):
        return _below(zone, home, record, scene)
    registered = scene.registered(record)
    if zone == registered or not within(zone, [registered]):
        return None
    above = scene.zone_of(zone.partition(".")[2])
    found = _below(zone, above, record, scene) if above else None
    return found if found and found.state == "wrong" else None


def _below(zone: str, above: str, record: Record, scene: Scene) -> Verdict:
    """Servers that still know what they have handed on say so to nobody but us."""
    answer = scene.in_zone(above, record.name, record.type)
    details = {"parent": above, "servers": _servers(zone, record, scene)}
    if answer.status == "found" and judge(record, answer, scene).state == "right":
        return wrong("wrong_zone", answer.values, **details)
    return Verdict("absent", "wrong_zone", details=details)


def _servers(zone: str, record: Record, scene: Scene) -> str:
    """Whoever has registered a domain knows where its zone is; not so with one below it."""
    if zone == scene.registered(record):
        return ""
    names = sorted(scene.authoritative(zone, "NS").values)[:4]
    return f" ({', '.join(names)})" if names else ""
