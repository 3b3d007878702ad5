"""A place for the stack's directory that Postfix's own user can reach."""

from __future__ import annotations

import hashlib
import shutil
import stat
from pathlib import Path

UNTRAVERSABLE_HOME = Path("/var/lib/franking-local")


def traversable(directory: Path) -> Path:
    """The directory, resolved; or, where user postfix cannot reach it, one that it can.

    Postfix's daemons open their queue and data directories by absolute path after they have
    become user postfix, so no parent may be closed to others.  A checkout below a home such as
    /root (0700) is: then the directory becomes a symbolic link into /var/lib.
    """
    resolved = directory.resolve()
    parents = [p for p in (resolved, *resolved.parents) if p.exists()]
    if all(p.stat().st_mode & stat.S_IXOTH for p in parents):
        return resolved
    digest = hashlib.sha256(str(resolved).encode()).hexdigest()[:12]
    target = UNTRAVERSABLE_HOME / digest
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if directory.is_dir() and not target.exists():
        shutil.move(resolved, target)  # it was reachable before, and holds an instance
    target.mkdir(mode=0o755, exist_ok=True)
    directory.symlink_to(target)
    return target
