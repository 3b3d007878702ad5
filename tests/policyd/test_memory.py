"""What was seen lately."""

from __future__ import annotations

from policyd.memory import Recent


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
