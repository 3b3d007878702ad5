"""One part of a message that is no multipart: what its header says and how its content begins."""

from __future__ import annotations

import binascii
import quopri
from collections.abc import Sequence

from milterd import mime
from milterd.attachments import Attachment, detect

HEAD = 4_096  # decoded bytes of a part that are looked at
MOST_NAMES = 20  # of one part; a program writes one name in two to four ways
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         b"0123456789+/="))  # fmt: skip


class Part:
    """A part that is no multipart, with the beginning of its content as it stands in the mail."""

    def __init__(
        self, fields: Sequence[tuple[bytes, bytes]], default: str, *, judging: bool = True
    ) -> None:
        """Without `judging` it has no names and is no attachment."""
        types_given = [value for name, value in fields if name == b"content-type"]
        types = [mime.parse(value) for value in types_given]
        dispositions = [
            mime.parse(value) for name, value in fields if name == b"content-disposition"
        ]
        encodings = [value for name, value in fields if name == b"content-transfer-encoding"]
        self.type = types[0][0] if types else default
        self.boundary = (
            mime.boundary(types_given[0]) if self.type.startswith("multipart/") else None
        )
        self.types = len(types)
        given = [parameter for _, found in (*dispositions, *types) for parameter in found]
        names = mime.names(given) if judging else []
        self.names = names[:MOST_NAMES]
        self.too_many_names = len(names) > MOST_NAMES
        self.encoding = mime.encoding(encodings[0]) if encodings else ""
        self.attached = any(value == "attachment" for value, _ in dispositions)
        self.raw = 0
        self._head = bytearray()
        self._wanted = 0
        self._judging = judging
        if self.is_attachment():
            self._wanted = {"base64": HEAD * 3 // 2, "quoted-printable": 3 * HEAD}.get(
                self.encoding, HEAD
            )

    def is_attachment(self) -> bool:
        if not self._judging:
            return False
        shown_as_text = self.type.startswith(("text/", "message/", "multipart/")) or not self.type
        return bool(self.names) or self.attached or not shown_as_text

    def take(self, block: bytes, start: int, end: int) -> None:
        self.raw += end - start
        if self._wanted > len(self._head):
            self._head += block[start : min(end, start + self._wanted - len(self._head))]

    def attachment(self) -> Attachment:
        size = self.raw * 57 // 78 if self.encoding == "base64" else self.raw  # a line is 76 + CRLF
        return Attachment(tuple(self.names), self.type, detect(self._decoded()), size)

    def _decoded(self) -> bytes:
        head = bytes(self._head)
        if self.encoding == "base64":
            letters = head.translate(None, _NO_BASE64).lstrip(b"=").partition(b"=")[0]
            return binascii.a2b_base64(letters[: len(letters) // 4 * 4] + _padded(letters))[:HEAD]
        if self.encoding == "quoted-printable":
            return quopri.decodestring(head)[:HEAD]
        return head


def _padded(letters: bytes) -> bytes:
    """The last letters, when they are not four, made four."""
    last = letters[len(letters) // 4 * 4 :]
    return last + b"=" * (4 - len(last)) if len(last) > 1 else b""
