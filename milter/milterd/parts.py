"""The attachments of a message whose body arrives in pieces.

Kept are an unfinished line, the header of the part that is being read, and the first bytes of each
part that may be an attachment; memory does not grow with the message.  The content between two
boundaries is leapt over.  RFC 2046, and beyond it what mail programs make of broken mail: where
they differ, the reading that shows more attachments is taken, and what no two would read alike is
an error.  So a closed multipart may go on, a part ends at any outer boundary, a bare CR or LF ends
a line, and a boundary followed by other text is reported.  A line above 998 octets ends the scan
with nothing found: the message is refused for that line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from milterd.attachments import Attachment, Found
from milterd.bodyhash import has_too_long_line
from milterd.part import MOST_NAMES, Part

MOST_LEVELS = 20
MOST_PARTS = 1_000
MOST_DASHES = 200_000  # lines that may be a boundary: half a second of work at the very worst
LONGEST_HEADER = 16_384  # bytes of one part's header
MOST_HEADER_BYTES = 262_144  # of all parts' headers, and of uuencoded files' names

_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"(content-[a-z-]+)[ \t]*:(.*)", re.IGNORECASE | re.DOTALL)
_DASHES = re.compile(rb"[\r\n]--")
_BOUNDARY = re.compile(rb"boundary[^;]*", re.IGNORECASE)
_UUENCODED = re.compile(rb"(?:^|[\r\n])begin(?:-base64)? [0-7]{3,4} ([^\r\n]+)")
_PLAIN = ("", "7bit", "8bit", "binary")
_MESSAGES = ("message/rfc822", "message/global", "message/news")


class Scanner:
    """Made from the main header; then `feed` in any pieces, and once `finish`."""

    def __init__(
        self,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        hashing: bool = False,
        judging: bool = True,
    ) -> None:
        """`hashing` asks for `digest`; without `judging`, attachments are not collected."""
        self.judging = judging
        self._hash = hashlib.sha256() if hashing else None
        self._attachments: list[Attachment] = []
        self._errors: dict[str, None] = {}
        self._stopped = False
        self._too_long = False
        self._rest = b""
        self._levels: list[tuple[bytes, int, bool]] = []  # boundary; depth; is it a digest
        self._delimiters: dict[bytes, tuple[int, bool]] = {}  # line: level; does it close
        self._prefixes: tuple[bytes, ...] = ()
        self._bare = False  # is there a CR that is no part of a line end, and matters
        self._parts = 0
        self._part_header_bytes = 0  # of all parts so far
        self._candidates = 0
        self._depth = 0
        self._default = "text/plain"
        self._part: Part | None = None
        self._header: list[bytes] | None = None  # lines, while a header is being read
        self._header_bytes = 0
        self._begin(
            [(name.lower(), value) for name, value in headers if name[:8].lower() == b"content-"]
        )

    def feed(self, chunk: bytes) -> None:
        if self._stopped:
            return
        data = self._rest + chunk if self._rest else chunk
        if has_too_long_line(data):
            self._stopped = self._too_long = True
            return
        end = data.rfind(b"\r\n") + 2
        if end < 2:
            self._rest = data
            return
        self._rest = data[end:]
        self._lines(data if end == len(data) else data[:end])

    def finish(self) -> Found:
        if self._rest and not self._stopped:
            self._lines(self._rest + b"\r\n")
        if self._header is not None and not self._stopped:
            self._begin(self._fields())
        self._end_part()
        if self._too_long:
            return Found()
        return Found(tuple(self._attachments), tuple(self._errors))

    def digest(self) -> bytes | None:
        """SHA-256 of the body but for its boundaries, after `finish`; None if the scan ended early.

        A client that builds a message again writes the same parts between other boundaries.
        """
        assert self._hash is not None, "hashing was not asked for"
        return None if self._stopped else self._hash.digest()

    # --- lines ---

    def _lines(self, block: bytes) -> None:
        at = 0
        self._bare = b"\r--" in block or b"\rbegin" in block
        while at < len(block) and not self._stopped:
            at = self._content(block, at) if self._header is None else self._heading(block, at)

    def _heading(self, block: bytes, at: int) -> int:
        """One line of a part's header; a boundary ends it as an empty line does."""
        line, following = _line(block, at)
        assert self._header is not None
        if self._boundary(line):
            return following
        if not line:
            self._begin(self._fields())
            return following
        if self._hash is not None:
            self._hash.update(_BOUNDARY.sub(b"", line) + b"\r\n")
        self._header_bytes += len(line)
        if self._header_bytes > LONGEST_HEADER:
            self._stop(f"the header of a part is longer than {LONGEST_HEADER} bytes")
        self._measure(line)
        self._header.append(line)
        return following

    def _content(self, block: bytes, at: int) -> int:
        """What stands before the next boundary, and that boundary."""
        start = at
        while self._levels and (candidate := self._dashes(block, at, start)) >= 0:
            self._candidates += 1
            if self._candidates > MOST_DASHES:
                self._take(self._part, block, start, candidate)
                self._stop(f"more than {MOST_DASHES} lines begin with two hyphens")
                return len(block)
            if block.startswith(self._prefixes, candidate):
                line, following = _line(block, candidate)
                if self._is_boundary(line):
                    self._take(self._part, block, start, candidate)
                    self._boundary(line)
                    return following
            at = candidate + 2
        self._take(self._part, block, start, len(block))
        return len(block)

    def _dashes(self, block: bytes, at: int, start: int) -> int:
        """Where a line begins with two hyphens, from `at` on, or -1; a line begins at `start`."""
        if at == start and block.startswith(b"--", at):
            return at
        if self._bare:
            match = _DASHES.search(block, at)
            return match.end() - 2 if match is not None else -1
        return block.find(b"\n--", at) + 1 or -1

    def _take(self, part: Part | None, block: bytes, start: int, end: int) -> None:
        if self._hash is not None:
            self._hash.update(block[start:end])
        if part is None or start == end or not self.judging:
            return
        part.take(block, start, end)
        if part.encoding in _PLAIN and (
            self._bare
            or block.startswith(b"begin", start, end)
            or block.find(b"\nbegin", start, end) >= 0
        ):
            for match in _UUENCODED.finditer(block[start:end]):
                self._count()
                self._measure(match[1])
                if self._stopped:
                    return
                name = match[1].decode("utf-8", "replace").strip()
                self._attachments.append(Attachment((name,), "application/x-uuencode", "", 0))

    def _is_boundary(self, line: bytes) -> bool:
        text = line[2:].rstrip(b" \t")
        if text in self._delimiters:
            return True
        if any(text.startswith(boundary) for boundary, _, _ in self._levels):
            self._errors["a boundary line of a multipart goes on with other text"] = None
        return False

    # --- parts ---

    def _boundary(self, line: bytes) -> bool:
        """Ends a part when the line is a boundary, and begins the next one unless it closes."""
        if not line.startswith(b"--") or not self._is_boundary(line):
            return False
        if self._header is not None:
            self._begin(self._fields(), complete=False)
        self._end_part()
        level, closes = self._delimiters[line[2:].rstrip(b" \t")]
        if self._hash is not None:
            self._hash.update(b"--%d%d\r\n" % (level, closes))
        if len(self._levels) > level + 1:
            del self._levels[level + 1 :]
            self._relevel()
        if not closes:
            _, depth, digest = self._levels[level]
            self._depth = depth + 1
            self._default = "message/rfc822" if digest else "text/plain"
            self._count()
            self._header, self._header_bytes = [], 0
        return True

    def _begin(self, fields: Sequence[tuple[bytes, bytes]], *, complete: bool = True) -> None:
        """A part whose header is known.  One without an empty line has no content."""
        self._header = None
        part = Part(fields, self._default, judging=self.judging)
        if part.too_many_names:
            self._errors[f"a part has more than {MOST_NAMES} names"] = None
        if part.types > 1:
            self._errors["a part has more than one Content-Type header"] = None
        if part.type == "message/partial":
            self._errors["a message in pieces (message/partial) cannot be checked"] = None
        if part.type.startswith("multipart/"):
            self._multipart(part, complete=complete)
        elif part.type in _MESSAGES and part.encoding in _PLAIN:
            if self.judging:
                self._attachments.append(Attachment(tuple(part.names), part.type, "eml", 0))
            if complete:
                self._deeper()
                self._default = "text/plain"
                self._header, self._header_bytes = [], 0
        else:
            self._part = part

    def _multipart(self, part: Part, *, complete: bool) -> None:
        if part.encoding not in _PLAIN:
            self._errors["a multipart is encoded as a whole"] = None
        if part.boundary is None:
            self._errors["a multipart has no unambiguous boundary"] = None
        elif complete:
            boundary = part.boundary.encode().rstrip(b" \t")
            self._levels.append((boundary, self._depth, part.type == "multipart/digest"))
            self._relevel()
            self._deeper()

    def _relevel(self) -> None:
        self._delimiters = _delimiters(self._levels)
        self._prefixes = tuple(b"--" + boundary for boundary, _, _ in self._levels)

    def _end_part(self) -> None:
        if self._part is not None and self._part.is_attachment():
            self._attachments.append(self._part.attachment())
        self._part = None

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MOST_LEVELS:
            self._stop(f"the message is nested more than {MOST_LEVELS} levels deep")

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            self._stop(f"the message has more than {MOST_PARTS} parts")

    def _measure(self, line: bytes) -> None:
        self._part_header_bytes += len(line) + 2
        if self._part_header_bytes > MOST_HEADER_BYTES:
            self._stop(f"the headers of all parts are longer than {MOST_HEADER_BYTES} bytes")

    def _stop(self, clause: str) -> None:
        self._errors[clause] = None
        self._stopped = True

    def _fields(self) -> list[tuple[bytes, bytes]]:
        """The Content-* fields of the header that was read, unfolded; other lines are skipped."""
        unfolded: list[list[bytes]] = []
        for line in self._header or ():
            if line[:1] in (b" ", b"\t") and unfolded:
                unfolded[-1].append(line)
            else:
                unfolded.append([line])
        matches = [_FIELD.fullmatch(b"".join(lines)) for lines in unfolded]
        return [(match[1].lower(), match[2]) for match in matches if match is not None]


def _line(block: bytes, at: int) -> tuple[bytes, int]:
    """(the line that begins there, where the next one begins)."""
    match = _END_OF_LINE.search(block, at)
    return (block[at:], len(block)) if match is None else (block[at : match.start()], match.end())


def _delimiters(levels: Sequence[tuple[bytes, int, bool]]) -> dict[bytes, tuple[int, bool]]:
    """What may follow the two hyphens; of two equal boundaries the inner one counts."""
    found: dict[bytes, tuple[int, bool]] = {}
    for level, (boundary, _, _) in enumerate(levels):
        found[boundary] = (level, False)
        found[boundary + b"--"] = (level, True)
    return found
