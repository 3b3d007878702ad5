"""What is wrong with a message's header fields, apart from From; each finding is one clause.

RFC 5322 §3.6 allows the fields of `SINGLETONS` once.  A second one is a trick: the signature covers
one, the reader sees the other.  `check_malformed` refuses what readers take in different ways and
what no mail software writes; everything else that is merely untidy passes (an odd Date, an empty
To, 8-bit text): real programs write it, and no two readers are set against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from franking.mail.words import decode_words, shown
from milterd import mime

SINGLETONS = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
MOST_ERRORS = 5  # one reply line has room for about as many
LONGEST_SENDER = 1_998  # octets, as for From
LONGEST_VERSION = 200  # octets of a MIME-Version; a pattern below is quadratic
# With a milter, cleanup(8) cuts each field at 60,000 octets whatever header_size_limit says, and at
# the end of a line if one ends above nine tenths of that (cleanup_message.c, cleanup_out.c).  It
# tells nobody, so a field of this size may be the beginning of a longer one.
LONGEST_FIELD = 54_000  # octets, name and colon included
_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")  # RFC 5322 §2.2, so no space before the colon
_FOLDS = re.compile(rb"\r?\n(?=[ \t])")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SHOWN_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]")
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*\)", re.DOTALL)
# More than one @ passes: some programs use a whole address as the left side.  A comment may follow.
_MESSAGE_ID = re.compile(rb"<[^<>\s@]+@[^<>\s]+>\s*(?:\([^()]*\))?")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|\([^()]*\)', re.DOTALL)
_ADDRESS = re.compile(r"[^\s<>,;:@]+@[^\s<>,;:@]+")
_CHARSET = re.compile(r"=\?[^?]*\?")

Headers = Sequence[tuple[bytes, bytes]]


def check_field_sizes(headers: Headers) -> str | None:
    """The limit that one field exceeds, for `replies.too_many_headers`."""
    if any(len(name) + 1 + len(value) >= LONGEST_FIELD for name, value in headers):
        return f"{LONGEST_FIELD} bytes in one field"
    return None


def check_singletons(headers: Headers) -> list[str]:
    """`headers` are (name, value); From is `franking.mail.address`'s, but counted here too."""
    present = [name.lower() for name, _ in headers]
    return [
        f"there are {count} {name} headers"
        for name in SINGLETONS
        if (count := present.count(name.lower().encode())) > 1
    ]


def check_fields(headers: Headers) -> list[str]:
    """Malformed names, and control characters, which verifiers treat in different ways."""
    errors = []
    for name, value in headers:
        text = name.decode("ascii", "replace")[:40]
        if not _NAME.fullmatch(name):
            errors.append(f"the header name {text!r} is malformed".replace(",", " "))
        elif _CONTROL.search(value) and _CONTROL.search(_FOLDS.sub(b"", value)):
            errors.append(f"the header {text} contains a control character".replace(",", " "))
        if len(errors) == MOST_ERRORS:
            break
    return errors


def check_subject(headers: Headers) -> list[str]:
    """A subject that shows nothing counts as none."""
    if any(name.lower() == b"subject" and shown(value, 1_000) for name, value in headers):
        return []
    return ["the Subject is missing or empty"]


def check_malformed(headers: Headers) -> list[str]:
    """Singletons that exist and are not what they have to be."""
    errors = []
    for name, value in headers:
        check = _CHECKS.get(name.lower())
        if check is not None and (error := check(name.decode(), _FOLDS.sub(b"", value).strip())):
            errors.append(error)
    multipart = any(
        name.lower() == b"content-type" and mime.parse(value)[0].startswith("multipart/")
        for name, value in headers
    )
    if multipart:
        errors += [
            "a multipart message must not be encoded as a whole;"
            " use the Content-Transfer-Encoding 7bit or 8bit"
            for name, value in headers
            if name.lower() == b"content-transfer-encoding"
            and mime.encoding(value) not in ("7bit", "8bit", "binary", "")
        ]
    return errors[:MOST_ERRORS]


def _message_id(name: str, value: bytes) -> str | None:
    if _MESSAGE_ID.fullmatch(value):
        return None
    return f"the {name} is not of the form <unique@domain>"


def _mime_version(name: str, value: bytes) -> str | None:
    """`1.0`, and a comment by Apple Mail; without it, some readers show a message's source."""
    if len(value) > LONGEST_VERSION:
        return f"the {name} is longer than {LONGEST_VERSION} octets"
    text = b"".join(_COMMENT.sub(b"", value).split()).rstrip(b";")
    return None if text == b"1.0" else f"the {name} is not 1.0"


def _content_type(name: str, value: bytes) -> str | None:
    """Readers that cut a message at different places see different messages."""
    main, parameters = mime.parse(value)
    if not main.startswith("multipart/"):
        return None
    count = sum(key.startswith("boundary") for key, _ in parameters)
    if not count:
        return f"the {name} {main[:40]} has no boundary".replace(",", " ")
    return None if mime.boundary(value) else f"the {name} has no unambiguous boundary"


def _addresses(name: str, value: bytes) -> str | None:
    """An encoded line end in a name becomes a header in software that decodes too early."""
    if b"=?" not in value:
        return None
    text = value.decode("utf-8", "replace")
    # Readers take a character set that they do not know for one that they do.
    for said in (text, _CHARSET.sub("=?utf-8?", text)):
        if _SHOWN_CONTROL.search(decode_words(said)):
            return f"the header {name} contains an encoded control character"
    return None


def _sender(name: str, value: bytes) -> str | None:
    """RFC 5322 §3.6.2: one mailbox.  `a@b.example <a@b.example>` is a common slip, and harmless."""
    if len(value) > LONGEST_SENDER:
        return f"the header {name} is longer than {LONGEST_SENDER} octets"
    outside = _QUOTED.sub(" ", value.decode("utf-8", "replace")).lower()
    if len(set(_ADDRESS.findall(outside))) > 1:
        return f"the header {name} names more than one address"
    return _addresses(name, value)


_CHECKS: dict[bytes, Callable[[str, bytes], str | None]] = {
    b"message-id": _message_id,
    b"mime-version": _mime_version,
    b"content-type": _content_type,
    b"sender": _sender,
    b"reply-to": _addresses,
    b"to": _addresses,
    b"cc": _addresses,
}
