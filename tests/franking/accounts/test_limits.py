"""Each limit at its edge, with the clock as an argument."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from franking.accounts import limits
from franking.accounts.limits import Exceeded, Subject
from franking.accounts.models import RateCounter
from franking.accounts.rules import Rules, Unit, Window, parse_window
from franking.db import Database

NOW = datetime(2026, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)  # the last moment of every window
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SHOP = Subject(1, 4, "192.0.2.1")


def windows(*texts: str) -> tuple[Window, ...]:
    return tuple(map(parse_window, texts))


def send(
    database: Database,
    limit: tuple[Window, ...],
    subject: Subject = SHOP,
    recipients: int = 1,
    now: datetime = NOON,
) -> Exceeded | None:
    """None when it was counted.  The transaction is kept either way, as a hold keeps it."""
    with database.transaction() as session:
        try:
            limits.count(session, limit, subject, recipients, now)
        except Exceeded as exceeded:
            return exceeded
    return None


def counters(database: Database) -> dict[tuple[str, str], int]:
    with database.session() as session:
        rows = session.scalars(select(RateCounter).where(RateCounter.used > 0))
        return {(row.subject, row.unit): row.used for row in rows}


@pytest.mark.parametrize("unit", limits.UNITS)
def test_the_last_that_fits_passes_and_the_next_window_opens(
    database: Database, unit: Unit
) -> None:
    three = windows(f"3/{unit}")
    assert [send(database, three, now=NOW) is None for _ in range(5)] == [True] * 3 + [False] * 2
    refused = send(database, three, now=NOW)
    assert refused is not None and refused.seconds == 1
    almost = NOW.replace(microsecond=999_999)
    assert send(database, three, now=almost) is not None
    opened = datetime(2027, 1, 1, tzinfo=UTC)
    assert [send(database, three, now=opened) is None for _ in range(4)] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("unit", "start", "end"),
    [
        ("second", "2028-02-29T13:14:15", "2028-02-29T13:14:16"),
        ("minute", "2028-02-29T13:14:00", "2028-02-29T13:15:00"),
        ("hour", "2028-02-29T13:00:00", "2028-02-29T14:00:00"),
        ("day", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
        ("month", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_windows_are_calendar_windows(unit: Unit, start: str, end: str) -> None:
    now = datetime(2028, 2, 29, 13, 14, 15, 900_000, tzinfo=UTC)
    assert limits.start_of(unit, now) == datetime.fromisoformat(start + "+00:00")
    assert limits.end_of(unit, now) == datetime.fromisoformat(end + "+00:00")


def test_recipients_are_counted_one_by_one(database: Database) -> None:
    ten = windows("10/minute recipients")
    assert send(database, ten, recipients=7) is None
    assert send(database, ten, recipients=4) is not None
    assert send(database, ten, recipients=3) is None
    assert send(database, ten, recipients=1) is not None


def test_messages_and_recipients_have_counters_of_their_own(database: Database) -> None:
    both = windows("2/minute messages", "10/minute recipients")
    assert send(database, both, recipients=5) is None
    assert send(database, both, recipients=5) is None
    assert counters(database) == {
        ("account:1", "minute"): 2,
        ("account:1/recipients", "minute"): 10,
    }


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        ("account", Subject(1, 5, "192.0.2.2"), Subject(2, 4, "192.0.2.1")),
        ("credential", Subject(1, 4, "192.0.2.2"), Subject(1, 5, "192.0.2.1")),
        ("address", Subject(1, 5, "192.0.2.1"), Subject(1, 4, "2001:db8::1")),
    ],
)
def test_what_is_counted_together(
    database: Database, by: str, same: Subject, other: Subject
) -> None:
    one = windows(f"1/day by {by}")
    assert send(database, one) is None
    assert send(database, one, same) is not None
    assert send(database, one, other) is None


def test_one_accounts_address_is_not_anothers(database: Database) -> None:
    one = windows("1/day by address")
    assert send(database, one) is None
    assert send(database, one, Subject(2, 9, SHOP.client_ip)) is None
    assert send(database, one, Subject(1, 4, None)) is None, "an unknown address is one too"
    assert send(database, one, Subject(1, 4, None)) is not None


def test_all_windows_or_none(database: Database) -> None:
    """The last of them, in the order in which they are counted, is the one without room."""
    several = windows("9/day", "9/hour", "9/day by address", "1/day by credential")
    assert send(database, several) is None
    before = counters(database)
    for _ in range(3):
        assert send(database, several) is not None
    assert counters(database) == before
    assert set(before.values()) == {1}


@pytest.mark.parametrize(
    ("texts", "worst"),
    [
        (("1/hour hold", "1/day defer", "1/minute reject"), "1/minute"),
        (("1/hour hold", "1/minute defer"), "1/minute"),
        (("1/hour defer", "1/day defer", "1/minute defer"), "1/day"),
        (("1/day hold", "5/day defer"), "1/day"),
    ],
)
def test_which_of_several_answers(database: Database, texts: tuple[str, ...], worst: str) -> None:
    """The most severe; among equals the one that opens last."""
    limit = windows(*texts)
    assert send(database, limit) is None
    answer = send(database, limit)
    assert answer is not None
    assert f"{answer.window.most}/{answer.window.per}" == worst


def test_two_limits_on_one_counter_count_once(database: Database) -> None:
    """A plan's quota and a limit per day are the same counter; the lower one holds."""
    rules = Rules(daily_quota=2, windows=windows("5/day"))
    answers = [send(database, rules.counted()) for _ in range(3)]
    assert answers[:2] == [None, None]
    assert answers[2] is not None and answers[2].window.quota
    assert counters(database) == {("account:1", "day"): 2}


@pytest.mark.parametrize("action", ["defer", "hold", "reject"])
def test_what_never_fits_is_rejected(database: Database, action: str) -> None:
    limit = windows("100/day", f"5/minute recipients {action}")
    refused = send(database, limit, recipients=6)
    assert refused is not None and refused.on_excess == "reject"
    assert limits.reply(refused).text == (
        "Rate limit exceeded (5 recipients per minute, the message has 6)"
    )
    assert not limits.reply(refused).temporary
    assert counters(database) == {}
    assert send(database, limit, recipients=5) is None


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (
            Rules(windows=windows("1/minute")),
            "450 4.7.1 Rate limit exceeded (1 messages per minute), retry in 60 s",
        ),
        (
            Rules(windows=windows("1/hour by credential reject")),
            "550 5.7.1 Rate limit exceeded (1 messages per hour for this API key), retry in 3600 s",
        ),
        (
            Rules(windows=windows("1/second recipients by address")),
            "450 4.7.1 Rate limit exceeded (1 recipients per second for your address),"
            " retry in 1 s",
        ),
        (Rules(daily_quota=1), "452 4.5.3 Daily quota exceeded (1 per day), retry in 43200 s"),
        (
            Rules(daily_quota=1, quota_on_excess="reject"),
            "550 5.7.1 Rate limit exceeded (1 messages per day), retry in 43200 s",
        ),
    ],
)
def test_replies(database: Database, rules: Rules, line: str) -> None:
    assert send(database, rules.counted()) is None
    refused = send(database, rules.counted())
    assert refused is not None
    assert limits.reply(refused).line("https://p").startswith(f"{line} https://p/e/")


def test_the_early_answer_counts_nothing_and_says_the_same(database: Database) -> None:
    limit = windows("1/day", "1/hour hold")
    with database.session() as session:
        assert limits.exceeded(session, limit, SHOP, NOON) is None
        assert limits.exceeded(session, (), SHOP, NOON) is None
    assert counters(database) == {}
    assert send(database, limit) is None
    with database.session() as session:
        early = limits.exceeded(session, limit, SHOP, NOON)
        assert early is not None and str(early) == str(send(database, limit))
        assert limits.exceeded(session, limit, SHOP, NOON + timedelta(days=1)) is None


def test_windows_that_hold_refuse_nothing_early(database: Database) -> None:
    limit = windows("3/day recipients hold")
    assert send(database, limit, recipients=3) is None
    with database.session() as session:
        assert limits.exceeded(session, limit, SHOP, NOON) is None
        assert limits.exceeded(session, limit, SHOP, NOON, holds=True) is not None
        never = limits.exceeded(session, limit, SHOP, NOON, recipients=4)
        assert never is not None and never.on_excess == "reject"


def test_twenty_threads_never_exceed_it(database: Database) -> None:
    """Two limits, the second lower, so that the first is taken back again and again."""
    limit = windows("90/day", "70/hour by address")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(database, limit), range(200)))
    assert answers.count(None) == 70
    assert counters(database) == {
        ("account:1", "day"): 70,
        ("address:1:192.0.2.1", "hour"): 70,
    }


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    limit=st.lists(
        st.builds(
            Window,
            most=st.integers(1, 12),
            per=st.sampled_from(["second", "minute"]),
            counts=st.sampled_from(["messages", "recipients"]),
            by=st.sampled_from(["account", "credential", "address"]),
        ),
        max_size=4,
    ),
    sent=st.lists(
        st.tuples(
            st.integers(1, 5),  # recipients
            st.sampled_from([3, 4]),  # credential
            st.sampled_from(["192.0.2.1", None]),
            st.sampled_from([0, 1, 60]),  # seconds
        ),
        max_size=25,
    ),
)
def test_like_counting_by_hand(
    database: Database,
    limit: list[Window],
    sent: list[tuple[int, int, str | None, int]],
) -> None:
    with database.transaction() as session:
        session.execute(delete(RateCounter))
    passed: list[tuple[int, int, str | None, int]] = []
    for message in sent:
        recipients, credential, address, seconds = message
        subject = Subject(1, credential, address)
        answer = send(
            database, tuple(limit), subject, recipients, NOON + timedelta(seconds=seconds)
        )
        fits = all(_used(window, [*passed, message], message) <= window.most for window in limit)
        assert (answer is None) == fits
        if fits:
            passed.append(message)


def _used(
    window: Window,
    messages: list[tuple[int, int, str | None, int]],
    like: tuple[int, int, str | None, int],
) -> int:
    """What these messages use of the window that the last of them is in."""
    together = [
        message
        for message in messages
        if (window.by != "credential" or message[1] == like[1])
        and (window.by != "address" or message[2] == like[2])
        and (message[3] == like[3] if window.per == "second" else message[3] // 60 == like[3] // 60)
    ]
    return sum(m[0] for m in together) if window.counts == "recipients" else len(together)
