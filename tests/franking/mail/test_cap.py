"""How many refusals of one account become events."""

from __future__ import annotations

from franking.mail.cap import PerMinute


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


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
