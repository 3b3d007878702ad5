"""A DKIM key record: the tags count, not the text (RFC 6376 §3.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from franking.dns.answers import Answer
from franking.domains.checks.finding import RIGHT, Verdict, absent, wrong
from franking.domains.checks.scene import Scene
from franking.domains.checks.text import damage, solid, truncated, unmarked
from franking.domains.records import Record

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CUT = 40  # characters of a key that are enough to know it by


def tags(text: str) -> dict[str, str] | None:
    """Of a tag list, values without white space; None if it is none (RFC 6376 §3.2)."""
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name) or name in found:
            return None
        found[name] = solid(value)
    return found


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    ours = tags(record.value) or {}
    lists = [found for text in answer.values if (found := tags(text)) and "p" in found]
    keys = {found["p"] for found in lists}
    if ours.get("p") in keys:
        if len(keys) > 1:
            return wrong("dkim_two_keys", answer.values, count=str(len(keys)))
        tag = next(_unusable(lists[0], ours), None)
        if tag is None:
            return RIGHT
        return damage(record, answer.values) or wrong("dkim_tags", answer.values, tag=tag)
    harm = damage(record, answer.values)
    if harm is not None:
        return harm
    if not keys:
        return _unreadable(answer)
    return _of_whom(record, answer, keys, ours.get("p", ""), scene)


def _unusable(found: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[str]:
    """Tags because of which a receiver passes over the right key."""

    def has(name: str, *good: str) -> bool:
        return name not in found or bool(set(found[name].lower().split(":")) & set(good))

    if found.get("v", "DKIM1") != "DKIM1":
        yield f"v={found['v']}"
    if found.get("k", "rsa") != ours.get("k", "rsa"):
        yield f"k={found['k']}" if "k" in found else "the missing k="
    if not has("h", "sha256"):
        yield f"h={found['h']}"
    if not has("s", "*", "email"):
        yield f"s={found['s']}"
    if "y" in found.get("t", "").lower().split(":"):
        yield "t=y (testing)"


def _unreadable(answer: Answer) -> Verdict:
    """Something of DKIM that is no tag list, or nothing of DKIM at all."""
    if any(re.search(r"dkim1|\bp\s*=", unmarked(text), re.I) for text in answer.values):
        return wrong("wrong_value", answer.values)
    return absent(found=answer.values)


def _of_whom(record: Record, answer: Answer, keys: set[str], ours: str, scene: Scene) -> Verdict:
    if not any(keys):
        return wrong("dkim_revoked", answer.values)
    for other in scene.records:
        is_key = other.purpose == "dkim" and other.type == "TXT" and other.name != record.name
        if is_key and (tags(other.value) or {}).get("p") in keys:
            return wrong("dkim_other_selector", answer.values, other=other.name)
    for key in keys - {""}:
        if ours.startswith(key) and len(key) >= _CUT:
            return truncated(record, answer.values, len(solid(record.value)) - len(ours) + len(key))
        owner = scene.others.key_owner(key) if scene.others else None
        if owner:
            return wrong("dkim_of_another", answer.values, owner=owner)
    return wrong("dkim_wrong_key", answer.values)
