"""What was seen lately, and how often."""

from __future__ import annotations

from policyd.memory import PerMinute, Recent


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_recent_forgets_with_time_and_with_size() -> None:
    clock = Clock()
    recent = Recent(size=2, seconds=60, clock=clock)
    assert [recent.first(key) for key in "aab"] == [True, False, True]
    clock.now += 60
    assert recent.first("a") and not recent.first("a")
    assert recent.first("c") and recent.first("b")


def test_per_minute_admits_counts_and_tells_once() -> None:
    clock = Clock()
    cap = PerMinute(2, clock)
    assert [cap.admit(1) for _ in range(5)] == [True, True, False, False, False]
    assert cap.admit(2)
    assert cap.capped() == []
    clock.now += 60
    assert cap.admit(1)
    assert cap.capped() == [(1, 3)]
    assert cap.capped(now=True) == []
