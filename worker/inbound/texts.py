"""The words for people in a report, without the message that is quoted below them."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

from franking.mail.mime import Part
from worker.inbound.fields import decoded

LONGEST = 16_384  # characters that are looked at
LONGEST_LINE = 300  # what looks at them may need the square of it
_QUOTED = re.compile(
    r"""^ (?:
      [-=*_>\s]{2,} \s* (original | below | this\ is\ a\ copy | unsent | returned | undelivered
        | forwarded | message\ header | header | text\ of | included | start\ of | end\ of\ message
        | copy\ of | the\ (body|header|original) | transcript\ of\ message | ursprüngliche
        | message\ d'origine | mensaje\ original | 原) .*
      | (the\ )? (original | returned) \ message
        ( \ (headers?|follows?|attached|text|below))* \s* [:.]? \s*
      | (message\ )? headers? \ follow s? :? \s* | message\ headers? : \s*
      | a\ copy\ of\ (the|your)\ (original\ )?message .*
      | (included|below|following|attached)\ is\ (a|the)\ copy .*
      | (return-path|received|delivered-to|mime-version|dkim-signature|x-received): \ .*
    ) $""",
    re.I | re.X | re.M,
)  # fmt: skip
_HIDDEN = re.compile(r"<(style|script|head|title)\b[^<>]{0,500}>", re.I)
_BREAK = re.compile(r"</?(br|p|div|tr|li|h[1-6]|table|pre|hr)\b[^<>]{0,2000}>", re.I)
_TAG = re.compile(r"<(?![^<>\s]{1,64}@)[/!a-z][^<>]{0,2000}>", re.I)


class Texts(NamedTuple):
    """`quoted` is what begins where the original message seems to begin."""

    said: str
    quoted: str


def of(parts: Sequence[Part]) -> Texts:
    """Of the first part with words, plain rather than HTML."""
    plain = [part for part in parts if part.kind == "text/plain"]
    marked = [part for part in parts if part.kind == "text/html"]
    for part in [*plain, *marked]:
        text = decoded(part.content[: 4 * LONGEST], part.charset)
        if part.kind == "text/html":
            text = _without_tags(text)
        if text.strip():
            return _cut(text[: 2 * LONGEST])
    return Texts("", "")


def _cut(text: str) -> Texts:
    text = "\n".join(
        _folded(line) for line in text.replace("\r", "\n" if "\n" not in text else "").split("\n")
    )
    for found in _QUOTED.finditer(text):
        if text[: found.start()].strip():
            return Texts(text[: found.start()][:LONGEST], text[found.start() :])
    return Texts(text[:LONGEST], "")


def _folded(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return "\n".join(line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE))


def _without_tags(text: str) -> str:
    kept, at, lower = [], 0, text.lower()
    while found := _HIDDEN.search(text, at):
        kept.append(text[at : found.start()])
        at = lower.find(f"</{found[1].lower()}", found.end())
        if at < 0:
            at = len(text)
    text = "".join([*kept, text[at:]])
    return html.unescape(_TAG.sub(" ", _BREAK.sub("\n", text)))
