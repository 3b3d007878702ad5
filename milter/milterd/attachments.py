"""Which attachments a plan lets pass, by the name that a reader will see and by the first bytes.

The rules name types as file name extensions.  A denied type is found by either; with a list of
allowed types a name must be on it, and what the bytes say must not contradict the name.  Archives
are not opened.  The bytes are read by `filetype` and by `_SIGNATURES`, for what runs when it is
opened and `filetype` does not know.  Only four kilobytes are looked at, so the kind of an OLE file
(doc, xls, msi) is not always known; then its name decides.
"""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import filetype

MOST_ERRORS = 5
LONGEST_SHOWN = 60  # characters of a file name in a reply

# These run, or make something run, when a reader opens them.
PROGRAMS = frozenset(("exe", "elf", "macho", "msi", "lnk", "class", "sh", "reg", "chm", "dex"))
ALIASES = {"jpeg": "jpg", "jpe": "jpg", "jfif": "jpg", "tiff": "tif", "htm": "html", "mpeg": "mpg"}
# One format under several names: the bytes of a docx may show no more than a zip.
_FAMILIES = tuple(
    frozenset(names.split())
    for names in (
        "zip docx docm dotx dotm xlsx xlsm xlsb xltx xltm pptx pptm ppsx potx vsdx odt ods odp odg"
        " ott epub jar apk ipa kmz xps oxps 3mf pages numbers key cbz war ear xpi nupkg whl",
        "ole doc dot wps xls xlt xla ppt pot pps msg pub vsd mpp one",
        "ole msi msp",
        "exe dll scr sys com ocx cpl drv efi mui ax pif",
        "elf so o ko bin run axf",
        "macho dylib bundle o",
        "sh bash zsh ksh csh py pl rb command",
        "mp4 m4v m4a m4b mov qt 3gp 3g2 heic heif avif",
        "ogg oga ogv opus spx",
        "wmv wma asf",
        "mkv mka webm",
        "mp3 aac mpg mp2 ts",
        "tif cr2 dng nef arw",
        "png apng",
        "pdf ai",
        "ps eps ai",
        "gz tgz svgz emz wmz",
        "bz2 tbz tbz2",
        "xz txz",
        "ar a deb lib",
        "sqlite db sqlite3",
        "ttf otf ttc woff woff2 eot",
    )
)
_SIGNATURES = (
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "lnk"),  # [MS-SHLLINK] §2.1
    (b"ITSF\x03\x00\x00\x00", "chm"),
    (b"dex\n0", "dex"),
    (b"MZ", "exe"),
)
_TEXT_SIGNATURES = (
    (b"{\\rtf", "rtf"),
    (b"%!PS", "ps"),
    (b"#!", "sh"),
    (b"REGEDIT4", "reg"),
    (b"Windows Registry Editor", "reg"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")  # the class of an MSI's root
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]*")
_OVERRIDES = "\u202d\u202e"  # they turn the text after them round: cod.exe is shown as exe.doc
_KNOWN = frozenset(
    {kind.extension.lower() for kind in filetype.TYPES}
    | {name for _, name in (*_SIGNATURES, *_TEXT_SIGNATURES)}
    | {"ole", "msi", "class", "jar"}
)
_TYPES = mimetypes.MimeTypes()  # Python's own table: what a host has in /etc decides nothing


@dataclass(frozen=True)
class Attachment:
    """`names` are all that a program may show, the likeliest first; `declared` is its media type.

    `detected` is what the first bytes say, as an extension, empty when they say nothing; `size` is
    an estimate of the decoded bytes.
    """

    names: tuple[str, ...]
    declared: str
    detected: str
    size: int

    @property
    def name(self) -> str:
        return self.names[0] if self.names else ""

    def extensions(self) -> list[str]:
        """Of its names, else what its media type stands for; may be empty."""
        found = [kind for name in self.names if (kind := extension(name))]
        if not found and self.declared != "application/octet-stream":  # which says nothing
            guessed = _TYPES.guess_extension(self.declared, strict=False)
            found = [_canonical(guessed)] if guessed else []
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Found:
    """What a scan came to; `errors` are clauses that say why it could not see everything."""

    attachments: tuple[Attachment, ...] = ()
    errors: tuple[str, ...] = ()


def check_attachments(found: Found, allowed: Sequence[str], denied: Sequence[str]) -> list[str]:
    """The clauses for one message; without a rule everything passes, even what is malformed."""
    if not allowed and not denied:
        return []
    may = frozenset(_canonical(name) for name in allowed)
    must_not = frozenset(_canonical(name) for name in denied)
    errors = dict.fromkeys(found.errors)
    for attachment in found.attachments:
        if len(errors) >= MOST_ERRORS:
            break
        if why := _objection(attachment, may, must_not):
            errors[f"the attachment {_shown(attachment)} {why}"] = None
    return list(errors)


def _objection(
    attachment: Attachment, allowed: frozenset[str], denied: frozenset[str]
) -> str | None:
    kinds, detected = attachment.extensions(), attachment.detected
    if any(c in name for name in attachment.names for c in _OVERRIDES):
        return "has a name that hides its type"
    named = next((kind for kind in kinds if kind in denied), None)
    if named is not None:
        return f"is of the type {named} which is not allowed"
    if detected in denied and (detected in PROGRAMS or not _relative(detected, kinds)):
        return f"contains the type {detected} which is not allowed"
    return _not_allowed(kinds, detected, allowed) if allowed else None


def _not_allowed(kinds: Sequence[str], detected: str, allowed: frozenset[str]) -> str | None:
    if not kinds and not detected:
        return "is of an unknown type; give it a file name with an extension"
    named = next((kind for kind in kinds if kind not in allowed), None)
    if named is not None:
        return f"is of the type {_printable(named[:20])} which is not among those allowed"
    # An extension whose bytes nobody here knows may hold anything but a program.
    unknown = bool(kinds) and detected not in PROGRAMS and not any(k in _KNOWN for k in kinds)
    if not detected or detected in allowed or unknown or _relative(detected, kinds):
        return None
    return f"contains the type {detected} which is not among those allowed"


def extension(name: str) -> str:
    """The extension that decides what opens a file, as in the rules; empty without one.

    Windows ignores dots and spaces at the end; invisible characters and full-width letters look
    like what they are not; a name never contains a directory.
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    text = re.split(r"[/\\]", text)[-1].partition(":")[0].rstrip(". ")
    stem, dot, kind = text.rpartition(".")
    return _canonical(kind.strip()) if dot and kind.strip() and (stem or kind) else ""


def detect(head: bytes) -> str:
    """The type of a file that begins like this, as an extension; empty when nothing is known."""
    if b"%PDF-" in head[:1_024]:  # readers look that far
        return "pdf"
    # A text may begin with MZ or BM; a program's first 64 bytes hold zeros.
    is_text = _TEXT.fullmatch(head[:64]) is not None
    signatures = _TEXT_SIGNATURES if is_text else _SIGNATURES
    found = next((kind for magic, kind in signatures if head.startswith(magic)), "")
    return found if found or is_text else _detect_binary(head)


def _detect_binary(head: bytes) -> str:
    if head.startswith(b"\xca\xfe\xba\xbe"):  # Java begins at version 45; no file has 40 machines
        return "macho" if int.from_bytes(head[4:8], "big") < 40 else "class"
    if head.startswith(_OLE) and _is_installer(head):
        return "msi"
    if head.startswith(b"PK\x03\x04") and head[30:39] == b"META-INF/":
        return "jar"
    guessed = filetype.guess(head)
    if guessed is not None:
        return _canonical(guessed.extension)
    return "ole" if head.startswith(_OLE) else ""


def _is_installer(head: bytes) -> bool:
    """[MS-CFB] §2.2 and §2.6.1, for 512-byte sectors, when the directory is near enough."""
    directory = (int.from_bytes(head[0x30:0x34], "little") + 1) * 512
    return head[directory + 80 : directory + 96] == _INSTALLER


def _relative(detected: str, kinds: Sequence[str]) -> bool:
    return any(
        detected == kind or any(detected in family and kind in family for family in _FAMILIES)
        for kind in kinds
    )


def _canonical(kind: str) -> str:
    kind = kind.lower().removeprefix(".")
    return ALIASES.get(kind, kind)


def _shown(attachment: Attachment) -> str:
    """For a clause: no comma, no line end, bounded."""
    clean = _printable(attachment.name or attachment.declared)
    return repr(clean if len(clean) <= LONGEST_SHOWN else f"...{clean[-LONGEST_SHOWN:]}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and c != "," else "_" for c in text)
