"""The ownership token: exactly this text, at exactly this name.

Who follows a CNAME to it believes whoever owns the CNAME's target, and a forgotten CNAME's target
is anybody's.  So a token that is found through one proves nothing, nor does the target's silence.
"""

from __future__ import annotations

from franking.dns.answers import Answer
from franking.domains.checks.finding import RIGHT, Verdict, absent, wrong
from franking.domains.checks.scene import Scene
from franking.domains.checks.text import damage
from franking.domains.records import Record


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    if answer.aliases:
        return absent(found=answer.aliases[:1])
    if record.value in answer.values:
        return RIGHT
    kind = record.value.partition("=")[0] + "="
    return (
        damage(record, answer.values)
        or (wrong("token_foreign", answer.values) if _any(kind, answer.values) else None)
        or absent(found=answer.values)
    )


def _any(start: str, texts: tuple[str, ...]) -> bool:
    return any(text.lstrip('" ').startswith(start) for text in texts)
