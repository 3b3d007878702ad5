"""Which judgement is for which record."""

from __future__ import annotations

from franking.dns.answers import Answer
from franking.domains.checks import alias, dkim, dmarc, ownership, spf
from franking.domains.checks.finding import Verdict, trouble
from franking.domains.checks.scene import Scene
from franking.domains.records import Record

_TEXTS = {
    "ownership": ownership.judge,
    "dkim": dkim.judge,
    "spf": spf.judge,
    "dmarc": dmarc.judge,
}


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    """What one server's answer says about the record."""
    if answer.status == "trouble" and not (record.purpose == "ownership" and answer.aliases):
        return trouble(answer)
    if record.type == "CNAME":
        return alias.judge(record, answer, scene)
    return _TEXTS[record.purpose](record, answer, scene)
