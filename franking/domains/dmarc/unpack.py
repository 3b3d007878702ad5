"""From what was mailed to the XML inside it: messages, gzip, zip.  Everything in it is hostile.

An aggregate report is mailed as an attachment that is compressed with gzip, or, by older senders,
with zip, or not at all (RFC 7489 §7.2.1.1).  Which of them it is, the first octets say: content
types and file names vary too much.  Every step has a limit, and nothing is ever unpacked beyond
it; what exceeds one is `Unreadable`, unread.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from franking.domains.dmarc.attachments import Unreadable, contents

MOST_FILES = 100  # in a zip file
_GZIP, _ZIP, _ENTRY = b"\x1f\x8b", b"PK\x03\x04", b"PK\x01\x02"
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16
_BEGINNING = 2048  # octets in which an XML report is known
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others may want memory without limit
_ENCRYPTED = 0x1
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, OSError,
)  # fmt: skip


def xml_of(data: bytes, longest: int) -> bytes:
    """The XML of a report that is a message, an attachment, or the XML itself.

    `longest`: octets of what comes in and of what comes out.  Raises Unreadable.
    """
    if len(data) > longest:
        raise Unreadable(f"it is longer than {longest} octets")
    found = _attachment(data, longest)
    if found is None:
        found = _of_message(data, longest)
    if found is None:
        raise Unreadable("it has no report: no part of it is gzip, zip or XML")
    return found


def _attachment(data: bytes, longest: int) -> bytes | None:
    """None when the first octets are of nothing that a report comes in."""
    if data.startswith(_GZIP):
        return _gunzip(data, longest)
    if data.startswith(_ZIP):
        return _unzip(data, longest)
    beginning = data[:_BEGINNING].replace(b"\0", b"").lstrip()  # UTF-16 has every other octet NUL
    for mark in _MARKS:
        beginning = beginning.removeprefix(mark)
    if beginning.lstrip().startswith(b"<") and b"feedback" in beginning:
        return data
    return None


def _gunzip(data: bytes, longest: int) -> bytes:
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = stream.decompress(data, longest + 1)
    except zlib.error as error:
        raise Unreadable(f"its gzip is broken: {error}") from error
    _check(len(content), longest)
    if not stream.eof:
        raise Unreadable("its gzip is cut off")
    return content


def _unzip(data: bytes, longest: int) -> bytes:
    if data.count(_ENTRY) > MOST_FILES:  # before the directory is read into memory
        raise Unreadable(f"its zip has more than {MOST_FILES} files")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entry = _only_xml(archive.infolist())
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
                raise Unreadable("its zip is encrypted, or packed in an unusual way")
            _check(entry.file_size, longest)
            with archive.open(entry) as file:
                content = file.read(longest + 1)
    except _BROKEN_ZIP as error:
        raise Unreadable(f"its zip is broken: {str(error)[:100]}") from error
    _check(len(content), longest)  # what it says of itself need not be true
    return content


def _only_xml(entries: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    files = [entry for entry in entries if not entry.is_dir()]
    found = [
        entry
        for entry in files
        if entry.filename.lower().endswith(".xml") and not entry.filename.startswith("__MACOSX/")
    ]
    if not found and len(files) == 1:
        return files[0]
    if len(found) != 1:
        raise Unreadable(f"its zip has {len(found)} XML files, not one")
    return found[0]


def _check(length: int, longest: int) -> None:
    if length > longest:
        raise Unreadable(f"unpacked it is longer than {longest} octets")


def _of_message(data: bytes, longest: int) -> bytes | None:
    """The first part that is a report."""
    for content in contents(data):
        found = _attachment(content, longest)
        if found is not None:
            return found
    return None
