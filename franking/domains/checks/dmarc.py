"""The customer's DMARC record: any good one will do, theirs as well as ours (RFC 7489 §6.6.3)."""

from __future__ import annotations

import re

from franking.dns.answers import Answer
from franking.domains.checks.finding import Verdict, absent, remark, wrong
from franking.domains.checks.scene import Scene
from franking.domains.checks.text import damage, unmarked
from franking.domains.dmarc.record import Policy, is_dmarc, parse
from franking.domains.records import Record
from franking.reasons import Invalid


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    texts = tuple(text for text in answer.values if is_dmarc(text))
    if len(texts) > 1:
        return wrong("dmarc_two", texts, count=str(len(texts)), merged=_one_of(texts, record))
    if not texts:
        return damage(record, answer.values) or _unreadable(answer)
    try:
        policy = parse(texts[0])
    except Invalid as error:
        return wrong("dmarc_invalid", texts, problem=str(error))
    complete = _reporting(policy, record)
    if complete != policy:
        return remark("dmarc_no_reports", texts, merged=str(complete))
    return Verdict("right", None, texts)


def inherited(record: Record, scene: Scene) -> Verdict | None:
    """A domain without a record has that of the registered domain above it."""
    above = scene.registered(record)
    answer = scene.authoritative(f"_dmarc.{above}", "TXT")
    if judge(record, answer, scene).state != "right":
        return None
    found = tuple(text for text in answer.values if is_dmarc(text))
    return remark("dmarc_inherited", found, parent=above)


def _unreadable(answer: Answer) -> Verdict:
    for text in answer.values:
        if not re.search(r"v\s*=\s*dmarc", text, re.I):
            continue
        if is_dmarc(unmarked(text).strip()):
            return wrong("txt_marks", (text,), value=unmarked(text).strip())
        return wrong("dmarc_invalid", (text,), problem="it does not begin with v=DMARC1")
    return absent()


def _one_of(texts: tuple[str, ...], record: Record) -> str:
    """The first good one, with reports coming here."""
    for text in texts:
        try:
            return str(_reporting(parse(text), record))
        except Invalid:
            continue
    return record.value


def _reporting(policy: Policy, record: Record) -> Policy:
    for address in parse(record.value).rua:
        policy = policy.reporting_to(address)
    return policy
