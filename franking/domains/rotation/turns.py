"""When a DKIM key's next change is due; instants in, instants out."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta

from franking.domains.config import Dkim
from franking.domains.models import DkimKey

DAY = timedelta(days=1)
REMIND = WEEK = 7 * DAY
REMIND_LATE, LATE = 28 * DAY, 28 * DAY  # who has not published it for so long knows
SOON, LATER = timedelta(minutes=1), timedelta(hours=1)  # between looks for a record
LEAST = timedelta(seconds=1)
LONGEST = WEEK + DAY  # between two looks; what is due later than that was written by a wrong clock
TTL = 3600  # seconds, of customers' records: the default of `dns.ttl`


def turn_of(key: DkimKey, own: Dkim) -> datetime | None:
    """When this active key is to be replaced; None for never."""
    if own.rotate_months == 0 or key.activated_at is None:
        return None
    return _months_later(key.activated_at, own.rotate_months)


def announced_at(key: DkimKey, own: Dkim) -> datetime | None:
    """When the successor of this active key is to be made."""
    turn = turn_of(key, own)
    return None if turn is None else turn - own.announce_days * DAY


def ready_at(key: DkimKey, own: Dkim, ttl: int = TTL) -> datetime:
    """When a pending key that is seen may sign: in its turn, and not before what some resolver may
    still have of this name from before is over.  `ttl`: seconds, of the customer's own records."""
    assert key.seen_at is not None
    remembered = own.zone_ttl if key.method == "cname" else max(own.zone_ttl, ttl)
    return max(key.activate_at or key.seen_at, key.seen_at + timedelta(seconds=remembered))


def removable_at(retired_at: datetime, own: Dkim, hold_days: int = 0) -> datetime:
    """When nobody asks for a key's record any more; `hold_days`: that mail waits for money."""
    return retired_at + (own.queue_life_days + own.keep_days + hold_days) * DAY


def remind(key: DkimKey, now: datetime) -> bool:
    """Whether to ask (again) for this pending key's record.  Behind a CNAME it should be there
    without that, and is asked for only when its turn has passed."""
    turn = key.activate_at or now
    if key.method == "cname" and now < turn + DAY:
        return False
    gap = REMIND_LATE if now > turn + LATE else REMIND
    return key.told_at is None or now >= key.told_at + gap


def behind(key: DkimKey, now: datetime) -> bool:
    """Whether this pending key should have been in the relay's own zone a day ago at least."""
    return now >= max(key.created_at, key.activate_at or key.created_at) + DAY


def next_look(keys: Sequence[DkimKey], now: datetime, own: Dkim, ttl: int = TTL) -> datetime:
    """Once a week at least: settings change."""
    times = [now + WEEK]
    for key in keys:
        if key.state == "retiring":
            end = key.remove_at or now
            times.append(end if end > now else now + LATER)
        elif key.state == "active":
            turn = announced_at(key, own) or now + WEEK
            times.append(turn if turn > now else now + LATER)  # its successor waits for something
        elif key.seen_at is not None:
            ready = ready_at(key, own, ttl)
            times.append(ready if ready > now else now + SOON)  # somebody does not answer
        else:
            hurry = key.method == "cname" or now < (key.activate_at or now) + DAY <= now + DAY
            times.append(now + (SOON if hurry else LATER))
    return max(min(times), now + LEAST)


def _months_later(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or the last one that it has."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
