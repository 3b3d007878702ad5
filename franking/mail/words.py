"""RFC 2047 encoded-words, decoded for showing and for searching; never for deciding."""

from __future__ import annotations

import base64
import encodings
import functools
import pkgutil
import quopri
import re
from encodings.aliases import aliases

# White space between two encoded-words belongs to the encoding (RFC 2047 §6.2).
_ENCODED_WORD = re.compile(r"=\?([^?]*)\?([bBqQ])\?([^?]*)\?=(?:\s+(?==\?))?")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_LONGEST_CHARSET = 40  # characters of its name
_SLOW = frozenset(("idna", "punycode"))  # no character sets, and their time is quadratic


def decode_words(text: str) -> str:
    """`=?utf-8?q?K=C3=A4se?=` → `Käse`; what cannot be decoded stays as it is."""
    return _ENCODED_WORD.sub(_decode, text)


def decode(octets: bytes, charset: str) -> str:
    """As `bytes.decode(charset, "replace")`; raises LookupError or ValueError for an odd charset.

    Python imports a module for each name that it does not know, and never forgets the name.
    """
    if len(charset) > _LONGEST_CHARSET or not charset.isascii():
        raise LookupError(charset)
    name = encodings.normalize_encoding(charset.lower())
    name = aliases.get(name) or aliases.get(name.replace(".", "_"), name)
    if name not in _charsets():
        raise LookupError(charset)
    return octets.decode(name, "replace")


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
        return decode(octets, charset)
    except (LookupError, ValueError):  # unknown charset, broken base64, text that is not ASCII
        return match[0]


@functools.cache
def _charsets() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(encodings.__path__)) - _SLOW
