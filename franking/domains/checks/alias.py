"""A CNAME: exactly one target, and nothing else at its name (RFC 1034 §3.6.2)."""

from __future__ import annotations

from franking.dns.answers import Answer
from franking.domains.checks.finding import RIGHT, Verdict, absent, wrong
from franking.domains.checks.scene import Scene
from franking.domains.lost import MOVED
from franking.domains.records import Record

ADDRESSES = ("A", "AAAA")


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    target = next(iter(answer.values or answer.aliases), None)
    if target is None:
        return absent()
    if target == record.value.lower():
        return RIGHT
    if scene.is_wildcard(record.name, answer):
        return absent(found=(target,))
    for zone in dict.fromkeys((scene.zone(record), record.zone)):
        if target == f"{record.value.lower()}.{zone}":
            return wrong("target_doubled", (target,), target=target, zone=zone)
    return wrong("cname_wrong_target", (target,), target=target)


def moved(record: Record, answer: Answer, scene: Scene) -> Verdict | None:
    """A CNAME to this very slot, in a zone that is not the relay's any more, or not any more for
    this: the operator has changed `dkim.zone`, and the customer has done nothing wrong."""
    target = next(iter(answer.values if record.type == "CNAME" else answer.aliases), "")
    if not (record.slot and target.startswith(record.slot.lower())):
        return None
    where = target[len(record.slot) :]
    wanted = record.value.lower()[len(record.slot) :] if record.type == "CNAME" else ""
    own = (scene.zone(record), record.zone)  # a provider may have added its own
    if where in (wanted, *own, *(f"{wanted}.{zone}" for zone in own)):
        return None
    return Verdict("moved", MOVED, (target,), {"target": target})


def instead(record: Record, answer: Answer, scene: Scene) -> Verdict | None:
    """What else is at the name, in the CNAME's place."""
    if answer.status != "nodata":
        return None
    if scene.zone_of(record.name) == record.name:
        above = scene.zone_of(record.name.partition(".")[2])
        return wrong("cname_over_zone", (), zone=above or record.zone)
    addresses = [value for type in ADDRESSES for value in _own(record, type, scene)]
    if addresses:
        return wrong("cname_proxied", tuple(addresses))
    texts = _own(record, "TXT", scene)
    if texts and record.purpose == "dkim":
        return wrong("txt_instead_of_cname", texts)
    if texts:
        return wrong("occupied", texts, types="TXT")
    exchangers = _own(record, "MX", scene)
    return wrong("occupied", exchangers, types="MX") if exchangers else None


def _own(record: Record, type: str, scene: Scene) -> tuple[str, ...]:
    """What the name has itself, and not by a wildcard, which a CNAME would end."""
    answer = scene.authoritative(record.name, type)
    if not answer.values or scene.is_wildcard(record.name, answer):
        return ()
    return answer.values
