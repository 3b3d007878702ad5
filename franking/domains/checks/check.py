"""`check`: one finding per record.

The zone's own servers say whether a record is right; every configured resolver must see it, too,
before it counts as verified: receivers ask resolvers, and those remember what was there before.
Nobody's answer is nobody's proof: then the status is `temporary_failure`, never `missing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from franking.dns.answers import Answer, Lookup
from franking.domains.checks import alias
from franking.domains.checks.faults import duration, sentence
from franking.domains.checks.finding import Finding, Status, Verdict, shown, trouble, wrong
from franking.domains.checks.judges import judge
from franking.domains.checks.missing import explain
from franking.domains.checks.scene import Others, Scene
from franking.domains.lost import KEY_NOT_IN_ZONE
from franking.domains.records import Record

MOST = 10  # values of a name that are kept
_STATUS: dict[str, Status] = {
    "right": "verified",
    "wrong": "wrong",
    "absent": "missing",
    "trouble": "temporary_failure",
    "moved": "pending",
}


def check(records: Sequence[Record], lookup: Lookup, others: Others | None = None) -> list[Finding]:
    """Of the records of one domain (`expected_records`), in their order; never raises."""
    scene = Scene(records, lookup, others)
    return [_one(record, scene) for record in records]


def _one(record: Record, scene: Scene) -> Finding:
    answer = scene.authoritative(record.name, record.type)
    verdict = _verdict(record, answer, scene)
    if verdict.state == "right":
        late = _not_everywhere(record, answer, scene) or _no_key_behind(record, scene)
        if late is not None:
            status: Status = "pending" if late.state == "wrong" else "temporary_failure"
            return _finding(record, status, late, scene)
    return _finding(record, _STATUS[verdict.state], verdict, scene)


def _verdict(record: Record, answer: Answer, scene: Scene) -> Verdict:
    verdict = judge(record, answer, scene)
    if verdict.state == "right":
        return verdict
    moved = alias.moved(record, answer, scene)
    if moved is not None:
        return moved
    if verdict.state == "absent":
        return explain(record, answer, verdict, scene)
    if verdict.state == "wrong" and record.purpose == "dkim" and answer.aliases:
        return explain(record, answer, verdict, scene)
    return verdict


def _not_everywhere(record: Record, answer: Answer, scene: Scene) -> Verdict | None:
    """A resolver that still says something else, or else one that says nothing at all."""
    silent: Verdict | None = None
    for seen in scene.resolved(record.name, record.type):
        if seen.status == "trouble":
            silent = silent or trouble(seen)
        elif set(seen.values) == set(answer.values):
            continue
        elif judge(record, seen, scene).state != "right":
            return _late(seen)
    return silent


def _no_key_behind(record: Record, scene: Scene) -> Verdict | None:
    """The CNAME is right, but our own zone does not have the key (yet, or any more): nobody can
    verify what it signs, and it is not the customer who can mend that."""
    if not record.behind:
        return None
    own = scene.authoritative(record.name, "TXT")
    silent = trouble(own) if own.status == "trouble" else None
    if silent is None and own.values != (record.behind,):
        return wrong(KEY_NOT_IN_ZONE, own.values)
    for seen in scene.resolved(record.name, "TXT"):
        if seen.status == "trouble":
            silent = silent or trouble(seen)
        elif seen.values != (record.behind,):
            return _late(seen, zone=scene.zone_of(record.value) or record.value)
    return silent


def _late(seen: Answer, **where: str) -> Verdict:
    old = ", ".join(f"“{shown(value, 80)}”" for value in seen.values[:2]) or "nothing"
    wait = f" and may keep that for {duration(seen.ttl)}" if seen.ttl > 0 else ""
    return wrong("not_everywhere", seen.values, server=seen.server, old=old, wait=wait, **where)


def _finding(record: Record, status: Status, verdict: Verdict, scene: Scene) -> Finding:
    found = tuple(shown(value) for value in verdict.found[:MOST])
    if verdict.fault is None:
        return Finding(record, status, found=found)
    details = {"zone": scene.zone(record), **verdict.details}
    advice = sentence(verdict.fault, record, **details)
    return Finding(record, status, verdict.fault, found, advice)
