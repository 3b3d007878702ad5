"""Structured MIME fields: `attachment; filename="a b.pdf"` → its value and its parameters.

Reads what RFC 2045 §5.1 and RFC 2231 allow, and what mail programs accept besides.  It is for
finding things, not for showing them: where two programs could read different names, it gives both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from franking.mail.words import decode, decode_words

Parameters = list[tuple[str, str]]

_PARAMETER = re.compile(
    r'(?:^|[; ])([A-Za-z0-9!#$&+.^_|~*-]+) ?= ?("(?:[^"\\]|\\.)*(?:"|$)|[^;]*)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\([^()]*\)")


def parse(value: bytes) -> tuple[str, Parameters]:
    """(the value in lower case, its parameters in order: name in lower case, text unquoted).

    An unquoted text reaches to the next semicolon, although a token may hold no space.
    """
    main, given = _given(value)
    return main, [(name, _unquoted(text)) for name, text in given]


def encoding(value: bytes) -> str:
    """A Content-Transfer-Encoding's name in lower case, comments and white space aside."""
    return _COMMENT.sub(b"", value).decode("ascii", "replace").strip(" \t\r\n;").lower()


def boundary(value: bytes) -> str | None:
    """The boundary in a Content-Type; None when programs would not agree on one.

    RFC 2046 §5.1.1: given once, in quotes or without a space, not empty, no space at the end.
    """
    found = [item for item in _given(value)[1] if item[0].startswith("boundary")]
    if len(found) != 1 or found[0][0] != "boundary":
        return None
    given = found[0][1]
    quoted = len(given) > 1 and given[0] == given[-1] == '"'
    text = _unquoted(given)
    agreed = (quoted or not (" " in given or '"' in given)) and text == text.rstrip()
    return text if agreed and "\ufffd" not in text and text.isprintable() and text else None


def names(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """All names that a program may show for a part, from `filename` and `name`, each once."""
    found: list[str] = []
    for wanted in ("filename", "name"):
        plain = [text for name, text in parameters if name == wanted]
        found += [_percent_decoded(text) for name, text in parameters if name == f"{wanted}*"]
        found += _continued(wanted, parameters)
        found += [decode_words(text) for text in plain]
        found += [text.split(" ", 1)[0] for text in plain if " " in text and "." in text]
    return list(dict.fromkeys(name for name in found if name))


def _given(value: bytes) -> tuple[str, Parameters]:
    """As `parse`, the parameters' texts as they stand there."""
    text = " ".join(value.decode("utf-8", "replace").split())
    main, _, rest = text.partition(";")
    first, _, more = main.partition(" ")
    found = _PARAMETER.findall(f"{more};{rest}" if more else rest)  # a semicolon was forgotten
    return first.lower(), [(name.lower(), given.strip()) for name, given in found]


def _continued(wanted: str, parameters: Iterable[tuple[str, str]]) -> list[str]:
    """RFC 2231 §3, §4.1: `name*0*=utf-8''caf%C3%A9; name*1=".pdf"`, in the order of the numbers."""
    pieces: dict[int, tuple[bool, str]] = {}
    for name, text in parameters:
        base, star, number = name.partition("*")
        digits = number.removesuffix("*")
        if base == wanted and star and digits.isdecimal() and len(digits) < 4:
            pieces.setdefault(int(digits), (number.endswith("*"), text))
    if not pieces:
        return []
    ordered = [pieces[number] for number in sorted(pieces)]
    charset = _charset(ordered[0][1]) if ordered[0][0] else "utf-8"
    octets = b"".join(
        unquote_to_bytes(_extended(text) if at == 0 else text) if encoded else text.encode()
        for at, (encoded, text) in enumerate(ordered)
    )
    return [_decoded(octets, charset)]


def _percent_decoded(text: str) -> str:
    return _decoded(unquote_to_bytes(_extended(text)), _charset(text))


def _extended(text: str) -> str:
    """`utf-8'en'caf%C3%A9` → `caf%C3%A9`; without the two quotes, all of it."""
    return text.split("'", 2)[2] if text.count("'") > 1 else text


def _charset(text: str) -> str:
    return text.split("'", 1)[0] if text.count("'") > 1 else "utf-8"


def _decoded(octets: bytes, charset: str) -> str:
    try:
        return decode(octets, charset or "utf-8")
    except (LookupError, ValueError):  # a charset nobody knows, or no text encoding at all
        return octets.decode("utf-8", "replace")


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(r"\1", text[1:].removesuffix('"') if text != '"' else "")
