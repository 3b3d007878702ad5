"""RFC 2047 encoded-words, decoded for showing and for searching; never for deciding."""

from __future__ import annotations

import base64
import quopri
import re

# White space between two encoded-words belongs to the encoding (RFC 2047 §6.2).
_ENCODED_WORD = re.compile(r"=\?([^?]*)\?([bBqQ])\?([^?]*)\?=(?:\s+(?==\?))?")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


def decode_words(text: str) -> str:
    """`=?utf-8?q?K=C3=A4se?=` → `Käse`; what cannot be decoded stays as it is."""
    return _ENCODED_WORD.sub(_decode, text)


def shown(value: bytes, limit: int) -> str:
    """A header's value as a line of text without control characters, at most `limit` of them."""
    text = decode_words(_FOLD.sub("", value.decode("utf-8", "replace")))
    return "".join(c if c.isprintable() else " " for c in text).strip()[:limit]


def _decode(match: re.Match[str]) -> str:
    charset, encoding, text = match[1].partition("*")[0], match[2].lower(), match[3]
    try:
        if encoding == "b":
            octets = base64.b64decode(text + "=" * (-len(text) % 4))
        else:
            octets = quopri.decodestring(text.encode("ascii"), header=True)
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):  # unknown charset, broken base64, text that is not ASCII
        return match[0]
