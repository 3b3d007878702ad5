"""The one parser of the From header, on bytes, and strict.

`parse_from` reads the From header of RFC 5322 §3.6.2, of which it takes one mailbox in today's
syntax: `a@b.example` or `Name <a@b.example>`.  It refuses what makes two programs see two senders
("Composition Kills", USENIX Security 2020): more than one header or mailbox, groups, comments,
routes, quoted local parts, domain literals, encoded-words or white space in the address, angle
brackets or another domain's address in the displayed name, control characters, 8-bit text outside
SMTPUTF8.  One form of the obsolete syntax passes, because everybody sends it: dots in an unquoted
name (`J. R. Smith <…>`).
Python's `email` is not used: it guesses, and this must not (CVE-2023-27043).
Envelope addresses are `franking.mail.envelope`'s.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from franking.domains.names import to_ascii, to_unicode
from franking.mail.words import decode_words
from franking.reasons import Invalid

LONGEST = 1_998  # octets of a From value; two full lines
LONGEST_ADDRESS = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
LONGEST_LOCAL = 64  # §4.5.3.1.1

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-"
_DOT_ATOM = rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*"
_ADDRESS = rf"({_DOT_ATOM})@({_DOT_ATOM})"
_WORD = rf"(?:[{_ATEXT}.]+|\"[^\"\\]*(?:\\.[^\"\\]*)*\")"
_PHRASE = rf"{_WORD}(?:[ \t]+{_WORD})*"
_ADDR_SPEC = re.compile(_ADDRESS)
_NAME_ADDR = re.compile(rf"(?:({_PHRASE})[ \t]*)?<{_ADDRESS}>")
_FOLD = re.compile(rb"\r?\n(?=[ \t]+[^ \t\r\n])")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[bBqQ]\?")
_QUOTED_PAIR = re.compile(r"\\(.)")
# Sloppy (RFC 2047 §5 wants no space within and spaces around it), but with a beginning and an end.
_CLOSED_WORD = re.compile(r"=\?[!->@-~]*\?[bBqQ]\?[ ->@-~]*\?=")
_CHARSET = re.compile(r"=\?[^?]*\?")
_SHOWN_ADDRESS = re.compile(r"@([\w-]+(?:\.[\w-]+)+)")
_OVERRIDES = "\u202d\u202e"  # they turn text round: `tset.knab@a` is read as `a@bank.test`


class AddressError(Invalid):
    """An address that is refused; the text is a clause that says why, without commas."""


@dataclass(frozen=True)
class Mailbox:
    """`local` as written; `domain` in lower-case A-labels; `display` decoded, for showing only."""

    local: str
    domain: str
    display: str = ""

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_from(values: Sequence[bytes], *, smtputf8: bool) -> Mailbox:
    """The author of a message that has these From headers; raises AddressError."""
    if not values:
        raise AddressError("there is no From header")
    if len(values) > 1:
        raise AddressError(f"there are {len(values)} From headers")
    text = _decoded(_FOLD.sub(b"", values[0]), smtputf8=smtputf8).strip(" \t")
    match = _ADDR_SPEC.fullmatch(text)
    if match is not None:
        return _mailbox(match[1], match[2])
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        raise AddressError(_diagnosis(text))
    mailbox = _mailbox(match[2], match[3])
    return replace(mailbox, display=_display(match[1] or "", mailbox.domain))


def _decoded(value: bytes, *, smtputf8: bool) -> str:
    if len(value) > LONGEST:
        raise AddressError(f"it is longer than {LONGEST} octets")
    if _CONTROL.search(value):
        raise AddressError("it contains a control character or a broken line")
    if not value.isascii() and not smtputf8:
        raise AddressError(
            "it contains 8-bit text; encode the name as RFC 2047 says or use SMTPUTF8"
        )
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AddressError("it is not valid UTF-8") from error
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in text if c != "\t"):
        raise AddressError("it contains a control character")
    return text


def _mailbox(local: str, domain: str) -> Mailbox:
    if _ENCODED_WORD.search(local):
        raise AddressError("the address itself contains an encoded-word")
    if len(local.encode()) > LONGEST_LOCAL:
        raise AddressError(f"the part before the @ is longer than {LONGEST_LOCAL} octets")
    if any(unicodedata.category(c)[0] in "CZ" for c in local):
        raise AddressError("the part before the @ contains an invisible character")
    if "@" in unicodedata.normalize("NFKC", local):
        raise AddressError("the part before the @ contains a character that is read as another @")
    ascii_domain = _domain(domain)
    if len(local.encode()) + 1 + len(ascii_domain) > LONGEST_ADDRESS:
        raise AddressError(f"the address is longer than {LONGEST_ADDRESS} octets")
    return Mailbox(local, ascii_domain)


def _domain(domain: str) -> str:
    try:
        name = to_ascii(domain)
    except Invalid as error:
        raise AddressError(str(error)) from error
    # Mapping may turn other characters into this domain's; a reader may see them as another one.
    if not domain.isascii() and to_unicode(name) != domain.lower():
        raise AddressError(f"write its domain as {name}")
    return name


def _display(phrase: str, domain: str) -> str:
    """The name as a reader sees it; raises AddressError when it could pass for an address."""
    words = " ".join(
        _QUOTED_PAIR.sub(r"\1", word[1:-1]) if word.startswith('"') else word
        for word in re.findall(_WORD, phrase)
    )
    rest = _CLOSED_WORD.sub(" ", words)
    if "=?" in rest or "?=" in rest:
        # Some programs decode on to the end of the header, and the address is gone.
        raise AddressError("the name before the address contains a broken encoded-word")
    shown = decode_words(words)
    # Readers take a character set that they do not know for one that they do.
    for text in (shown, decode_words(_CHARSET.sub("=?utf-8?", words))):
        if "<" in text or ">" in text:
            raise AddressError("the name before the address contains an angle bracket")
        if any(_breaks(c) for c in text if c != "\t"):
            raise AddressError("the name before the address contains an encoded control character")
        _check_shown_domains(text, domain)
    return shown


def _breaks(character: str) -> bool:
    return character in _OVERRIDES or unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _check_shown_domains(text: str, domain: str) -> None:
    """Many programs show the name alone, and `"ceo@bank.example" <me@shop.example>` is the bank's.

    An address in the name must be of the author's own domain, or of a parent of that.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    visible = "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Mn"))
    for found in _SHOWN_ADDRESS.findall(visible.lower()):
        if not f".{domain}".endswith(f".{_ascii(found)}"):
            raise AddressError(
                "the name before the address shows an address of another domain; leave it out"
            )


def _ascii(domain: str) -> str:
    try:
        return to_ascii(domain)
    except Invalid:
        return domain


def _diagnosis(text: str) -> str:
    """Why no pattern matched, as well as can be told; it decides nothing."""
    outside = re.sub(r'"[^"\\]*(?:\\.[^"\\]*)*"', '""', text)
    checks = (
        (not text, "it is empty"),
        ('""@' in outside or '"".' in outside, "the part before the @ is quoted"),
        ("@[" in outside, "the domain is an address literal"),
        ("(" in outside, "it contains a comment in parentheses; write Name <address>"),
        (re.search(r"<@", outside), "it contains a source route"),
        (":" in outside or ";" in outside, "it uses group syntax"),
        ("," in outside or outside.count("<") > 1, "it names more than one address"),
        ("@" not in outside, "it contains no address"),
        (outside.count('"') % 2, "a quotation mark is not closed"),
        (re.search(r"\s@|@\s|<\s|\s>", outside), "there is white space inside the address"),
        (outside.count("@") > 1, "there is more than one @; put the name into quotation marks"),
    )
    return next((why for found, why in checks if found), "it is not a plain address")
