"""`Nov 21 09:42:27` to an instant.

Postfix logs local time without a year (util/msg_logger.c).  The year taken is the latest that
does not put the line more than a day after `now` (clocks are corrected): December's lines, read
in January, are last year's.  In the hour that is repeated when summer time ends, the later
instant is taken unless it would lie in the future.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
LATEST = {1: timedelta(minutes=1), 0: timedelta(days=1)}  # after now, by datetime.fold


@lru_cache(maxsize=4096)  # a busy log has hundreds of lines with one stamp
def instant(text: str, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """The aware UTC instant of a 15-character stamp, None when there is no such time.

    `zone` is the log's; None is the machine's own.
    """
    for year in range(now.year + 1, now.year - 5, -1):  # 29 February needs four
        for fold in (1, 0):
            moment = _moment(text, year, fold, zone)
            if moment is not None and moment <= now + LATEST[fold]:
                return moment
    return None


def _moment(text: str, year: int, fold: int, zone: tzinfo | None) -> datetime | None:
    try:
        local = datetime(
            year, MONTHS[text[:3]], int(text[4:6]),
            int(text[7:9]), int(text[10:12]), min(int(text[13:15]), 59), tzinfo=zone, fold=fold,
        )  # fmt: skip
        return local.astimezone(UTC).replace(fold=0)  # a naive one is taken as the machine's own
    except (KeyError, ValueError, OverflowError):
        return None
