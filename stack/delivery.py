"""A message as the sink got it."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Delivery:
    """One message that reached the sink."""

    path: Path
    sender: str
    recipients: list[str]
    at: float

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def author(self) -> str:
        """The address in the From header: the envelope sender is one of the relay's own."""
        header = BytesHeaderParser().parsebytes(self.content.partition(b"\r\n\r\n")[0])
        return parseaddr(str(header["From"]))[1]
