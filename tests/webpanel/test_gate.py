"""How often, and by how many, the DNS may be asked from the panel."""

from __future__ import annotations

import pytest

from franking.dns.answers import Answer
from tests.webpanel.names import Names
from webpanel.domains import gate
from webpanel.domains.gate import Gate, TooSoon
from webpanel.domains.hurry import Hurried


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_domain_is_looked_at_every_ten_seconds() -> None:
    clock = Clock()
    door = Gate(clock)
    with door.passing(1, 1):
        pass
    clock.now += 7
    with pytest.raises(TooSoon, match="try again in 3 s"), door.passing(1, 1):
        pass
    with door.passing(1, 2):  # another one of the account
        pass
    clock.now += 3
    with door.passing(1, 1):
        pass


def test_an_account_looks_once_at_a_time_and_few_look_at_once() -> None:
    door = Gate(Clock())
    with door.passing(1, 1):
        with pytest.raises(TooSoon, match="under way"), door.passing(1, 2):
            pass
        with (
            door.passing(2, 3),
            pytest.raises(TooSoon, match="Many are asking"),
            door.passing(3, 4),
        ):
            pass
        with door.passing(3, 4):  # who was turned away has not lost the turn
            pass


def test_a_look_that_breaks_lets_the_next_one_in() -> None:
    door = Gate(Clock())
    with pytest.raises(ZeroDivisionError), door.passing(1, 1):
        raise ZeroDivisionError
    with door.passing(1, 2):
        pass


def test_it_remembers_no_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "REMEMBERED", 2)
    door = Gate(Clock())
    for domain_id in (1, 2, 3):
        with door.passing(1, domain_id):
            pass
    with door.passing(1, 1):  # forgotten
        pass
    with pytest.raises(TooSoon), door.passing(1, 3):
        pass


def test_after_its_time_a_look_up_is_trouble_at_once() -> None:
    clock, names = Clock(), Names(values={("example.com", "TXT"): ("v=spf1 -all",)})
    lookup = Hurried(names, clock.now + 5, clock)
    assert lookup.authoritative("example.com", "TXT").values == ("v=spf1 -all",)
    assert lookup.zone_of("example.com") == "example.com"
    clock.now += 5
    asked = names.asked
    late = Answer("example.com", "TXT", "trouble", problem="there was no time left to ask")
    assert lookup.authoritative("example.com", "TXT") == late
    assert lookup.resolved("example.com", "TXT") == [late]
    assert lookup.in_zone("example.com", "example.com", "TXT") == late
    assert lookup.zone_of("example.com") is None
    assert names.asked == asked
