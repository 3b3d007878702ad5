from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.maillog.timestamps import instant

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("Nov 21 09:42:27", "2026-11-21 10:00", "2026-11-21 09:42:27"),
        ("Nov  1 09:42:27", "2026-11-21 10:00", "2026-11-01 09:42:27"),
        ("Dec 31 23:59:59", "2027-01-01 00:00", "2026-12-31 23:59:59"),
        ("Jan  1 00:00:01", "2026-12-31 23:59", "2027-01-01 00:00:01"),
        ("Nov 21 11:00:00", "2026-11-21 10:00", "2026-11-21 11:00:00"),
        ("Nov 23 11:00:00", "2026-11-21 10:00", "2025-11-23 11:00:00"),
        ("Feb 29 12:00:00", "2027-03-01 00:00", "2024-02-29 12:00:00"),
        ("Jun 30 23:59:60", "2026-07-01 00:00", "2026-06-30 23:59:59"),
    ],
)
def test_the_year_is_the_one_before_now(text: str, now: str, expected: str) -> None:
    moment = instant(text, datetime.fromisoformat(now).replace(tzinfo=UTC), UTC)
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("Jul  1 12:00:00", "2026-07-01 11:00", "2026-07-01 10:00"),
        # 2026-10-25 03:00 CEST becomes 02:00 CET: 02:30 happens twice
        ("Oct 25 02:30:00", "2026-10-25 00:30", "2026-10-25 00:30"),
        ("Oct 25 02:30:00", "2026-10-25 01:30", "2026-10-25 01:30"),
        ("Dec 31 23:59:59", "2026-12-31 22:59", "2026-12-31 22:59:59"),
    ],
)
def test_local_time(text: str, now: str, expected: str) -> None:
    moment = instant(text, datetime.fromisoformat(now).replace(tzinfo=UTC), BERLIN)
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["Foo 21 09:42:27", "Nov 31 09:42:27", "Nov 21 25:00:00", ""])
def test_no_such_time(text: str) -> None:
    assert instant(text, datetime(2026, 11, 21, tzinfo=UTC), UTC) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1)), st.integers(0, 360 * 86400))
def test_a_line_of_the_last_year_is_found_again(now: datetime, age: int) -> None:
    now = now.replace(tzinfo=UTC, microsecond=0)
    then = datetime.fromtimestamp(now.timestamp() - age, UTC)
    assert instant(then.strftime("%b %e %H:%M:%S"), now, UTC) == then
