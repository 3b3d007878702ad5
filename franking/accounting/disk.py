"""Files and folders that survive a crash, and are never seen half written."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, content: bytes, mode: int) -> bool:
    """At once, and only if it says something else; whether it did."""
    if path.exists() and path.read_bytes() == content:
        return False
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.chmod(mode)
    draft.write_bytes(content)
    sync(draft)
    draft.replace(path)
    sync(path.parent)
    return True


def sync(path: Path) -> None:
    """A file's content, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
