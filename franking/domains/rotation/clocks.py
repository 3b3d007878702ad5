"""What a clock that was wrong has written about a domain's keys, and how far to believe it.

A host that comes up with a clock a year ahead, and is set right, must not stop rotation for a year,
nor may a record go that mail under way is verified with.  So no stored instant is believed that
cannot be: it counts as now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from franking.domains.config import Dkim
from franking.domains.models import DkimKey
from franking.domains.rotation import turns

SKEW = timedelta(hours=1)  # nodes' clocks may differ so much


def heal(keys: Sequence[DkimKey], now: datetime, own: Dkim) -> None:
    """Instants of the future become now; a turn is announced no longer before than it may be."""
    for key in keys:
        if _ahead(key.activated_at, now):
            key.activated_at = now
        if _ahead(key.told_at, now):
            key.told_at = None
        if _ahead(key.seen_at, now):
            key.seen_at = now
        if key.retired_at is not None and _ahead(key.retired_at, now):
            stays = (key.remove_at or key.retired_at) - key.retired_at
            key.retired_at, key.remove_at = now, now + stays
        if _ahead(key.activate_at, now + own.announce_days * turns.DAY):
            key.activate_at = now + own.announce_days * turns.DAY


def end_of(key: DkimKey, own: Dkim) -> datetime:
    """When this retiring key may go: as was said when it retired, and not before mail has died
    which it may have signed at any moment that it was there.  A clock that was behind when the key
    retired tells itself from when the key was made."""
    retired = max(key.created_at, key.retired_at or key.created_at)
    least = turns.removable_at(retired, own)
    return least if key.remove_at is None else max(least, key.remove_at)


def _ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now + SKEW
