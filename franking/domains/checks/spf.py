"""The customer's SPF record: one, theirs, and with us in it (RFC 7208).

A second record would make receivers ignore both (§4.5), so an existing one is merged into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from franking.dns.answers import Answer
from franking.domains.checks.finding import RIGHT, Verdict, absent, remark, trouble, wrong
from franking.domains.checks.lookups import MOST, MOST_VOID, Place, Tree, lookups, tree
from franking.domains.checks.scene import Scene
from franking.domains.checks.terms import VERSION, Term, invalid, is_spf, mechanisms, parse
from franking.domains.checks.text import unmarked
from franking.domains.records import Record, quoted

__all__ = ["combined", "judge", "lookups", "merged"]


def merged(existing: str, mechanisms: str) -> str:
    """The record with these mechanisms (`include:spf.example.net ip4:…`) before its `all`.

    Whatever it has stays, in its order, the first `all` with its qualifier; what it has already
    is not added again.  Mechanisms behind `all`, which receivers never come to, go before it.
    """
    return combined([existing], mechanisms)


def combined(texts: Sequence[str], wanted: str) -> str:
    """One record out of several, and with these mechanisms."""
    ours = [replace(term, qualifier="+") for term in mechanisms(wanted)]
    terms = [term for text in texts for term in parse(text)]
    if len(texts) > 1:  # a second redirect= is an error
        terms = [_as_include(term) for term in terms]
    kept: list[Term] = []
    for term in terms:
        ours_otherwise = not term.passes and any(term.same_as(mine) for mine in ours)
        if term.name == "all" or term.is_modifier or ours_otherwise:
            continue
        if not any(term.text.lower() == known.text.lower() for known in kept):
            kept.append(term)
    for mine in ours:
        if not any(term.covers(mine) for term in kept):
            kept.append(mine)
    ends = sorted((term for term in terms if term.name == "all"), key=lambda term: term.passes)
    modifiers = [term for term in terms if term.is_modifier]
    return " ".join([VERSION, *(term.text for term in (*kept, *ends[:1], *modifiers))])


def _as_include(term: Term) -> Term:
    return parse(f"{VERSION} include:{term.domain}")[0] if term.name == "redirect" else term


def judge(record: Record, answer: Answer, scene: Scene) -> Verdict:
    texts = [text for text in answer.values if is_spf(text)]
    if not texts:
        return _nothing_like_it(record, answer)
    if len(texts) > 1:
        one = combined(texts, record.value)
        return wrong("spf_two", tuple(texts), count=str(len(texts)), merged=one)
    text = texts[0]
    behind = tree(text, scene.ask, record.zone)
    return (
        _split(text, answer)
        or _broken(record, text, behind)
        or _too_many(record, text, behind)
        or (trouble(behind.trouble[0]) if behind.trouble else None)
        or _without_us(record, text, behind, scene)
        or _open(record, text)
        or RIGHT
    )


def _nothing_like_it(record: Record, answer: Answer) -> Verdict:
    for text in answer.values:
        clean = " ".join(unmarked(text).split())
        if is_spf(clean):
            fault = "txt_spaces" if unmarked(text) == text else "txt_marks"
            return wrong(fault, (text,), value=merged(clean, record.value))
    return absent()


def _split(text: str, answer: Answer) -> Verdict | None:
    """RFC 7208 §3.3: strings are joined as they are, so a blank must be in one of them."""
    for strings in answer.strings:
        apart = " ".join(strings)
        if "".join(strings) == text != apart and any(invalid(parse(text))):
            one = " ".join(apart.split())
            if not any(invalid(parse(one))):
                return wrong("spf_split", (text,), value=one, quoted=quoted(one))
    return None


def _broken(record: Record, text: str, behind: Tree) -> Verdict | None:
    """What is an error to every receiver, or lets everybody through."""
    found = (text,)
    for fault, place, details in _errors(behind):
        if any(place.via == ours.text for ours in mechanisms(record.value)):
            # Our own record is at fault; the customer's is not.
            answer = Answer(place.at, "TXT", "trouble", problem=f"{place.term.text} is an error")
            return trouble(answer)
        without = _without(record, text, place.via)
        return wrong(
            fault, found,
            at=place.at, term=place.term.text, via=place.via, merged=without, **details,
        )  # fmt: skip
    return None


def _errors(behind: Tree) -> Iterator[tuple[str, Place, dict[str, str]]]:
    for place in behind.invalid:
        yield "spf_invalid", place, {}
    if behind.everybody:
        yield "spf_allows_all", behind.everybody, {}
    for place, path in behind.loops:
        yield "spf_loop", place, {"chain": " → ".join(path)}
    for place, problem in behind.broken:
        target = place.term.target(place.at)
        yield "spf_broken_include", place, {"target": target, "problem": problem}


def _without(record: Record, text: str, via: str) -> str:
    """The record without this term, and with us; `~all` in the place of `+all`."""
    terms = parse(merged(text, record.value))
    kept = [term.text for term in terms if term.text != via]
    ends = any(term.name in ("all", "redirect") and term.text != via for term in terms)
    return " ".join([VERSION, *kept, *([] if ends else ["~all"])])


def _too_many(record: Record, text: str, behind: Tree) -> Verdict | None:
    one = merged(text, record.value)
    if behind.lookups > MOST:
        return wrong(
            "spf_too_many_lookups", (text,),
            count=str(behind.lookups), costs=_costs(behind), merged=one,
        )  # fmt: skip
    voids = behind.voids
    if len(voids) > MOST_VOID:
        return wrong(
            "spf_void_lookups", (text,), count=str(len(voids)), names=", ".join(voids), merged=one
        )
    return None


def _without_us(record: Record, text: str, behind: Tree, scene: Scene) -> Verdict | None:
    if all(behind.covers(term) for term in mechanisms(record.value)):
        return None
    one = merged(text, record.value)
    then = tree(one, scene.ask, record.zone)
    fault = "spf_without_us" if then.lookups <= MOST else "spf_no_room"
    return wrong(fault, (text,), count=str(then.lookups), costs=_costs(then), merged=one)


def _costs(behind: Tree) -> str:
    return ", ".join(f"{term}: {count}" for term, count in behind.costs.items())


def _open(record: Record, text: str) -> Verdict | None:
    terms = parse(text)
    ends = [term for term in terms if term.name == "all"]
    if any(term.qualifier in "-~" for term in ends) or any(t.name == "redirect" for t in terms):
        return None
    kept = [term.text for term in terms if term.name != "all"]
    end = ends[0].text if ends else "no all at its end"
    return remark("spf_open_end", (text,), end=end, merged=" ".join([VERSION, *kept, "~all"]))
