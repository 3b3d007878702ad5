"""What is in the parts of a message, and of messages within it."""

from __future__ import annotations

from collections.abc import Iterator

from franking.mail.mime import Unreadable, leaves

__all__ = ["Unreadable", "contents"]


def contents(message: bytes) -> Iterator[bytes]:
    """Of each part, decoded, in order; raises Unreadable."""
    for part in leaves(message, into_messages=True):
        yield part.content
