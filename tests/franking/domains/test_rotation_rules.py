"""Whatever happens in whatever order: what has signed can be verified for as long as mail lives."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from franking.db import Database
from franking.domains.models import DkimKey
from franking.domains.records import dkim_value
from franking.reasons import Taken
from tests.franking.domains.rotating import OWN, Rotating

LIFE = timedelta(days=OWN.queue_life_days + OWN.keep_days)
OFTEN = OWN.model_copy(update={"rotate_months": 1, "ed25519": True})


class Chance:
    """An operator who turns everything, a customer who does as told, sooner or later."""

    def __init__(self, of: Rotating, seed: int) -> None:
        self.of = of
        self.random = random.Random(seed)
        self.signed: dict[tuple[str, str], object] = {}  # record: when it signed last
        self.rotations = 0

    def days(self, count: int) -> None:
        for _ in range(count):
            self.of.now += timedelta(hours=self.random.randint(1, 47))
            self.customer()
            self.operator()
            before = {key.id: key.state for key in self.of.rows()}
            self.of.step()
            for key in self.of.rows():
                if key.state == "active" and before.get(key.id) == "pending":
                    self.rotations += 1
                    assert self.seen(key), "it signs only when it is seen"
            self.mail()

    def customer(self) -> None:
        if self.random.random() < 0.7:
            return
        told = {each.detail["selector"] for each in self.of.notices("dkim.publish")}
        self.of.publish(*told.intersection(k.selector for k in self.of.rows() if k.method == "txt"))
        until = [each.detail.get("keep_until") for each in self.of.notices("dkim.rotated")]
        if until[-1:] and until[-1] and f"{self.of.now:%Y-%m-%d}" >= until[-1]:
            kept = {self.of.name(key.selector) for key in self.of.rows()}
            for name in [name for name in self.of.visible if name not in kept]:
                del self.of.visible[name]

    def operator(self) -> None:
        try:
            match self.random.randrange(25):
                case 0:
                    self.of.begin()
                case 1:
                    self.of.switch("cname")
                case 2:
                    self.of.switch("txt")
                case 3:
                    self.of.telling = not self.of.telling
                    self.of.tell()
                case 4:
                    self.of.own = OFTEN if self.random.random() < 0.5 else OWN
        except Taken:
            pass

    def mail(self) -> None:
        active = [key for key in self.of.rows() if key.state == "active"]
        assert "rsa-sha256" in {key.algorithm for key in active}, "something signs"
        for key in active:
            assert self.seen(key)
            self.signed[self.of.name(key.selector), dkim_value(key)] = self.of.now
        for (name, text), last in self.signed.items():
            assert isinstance(last, type(self.of.now))
            if self.of.now - last < LIFE:
                assert self.of.visible.get(name) == text, f"{name} is gone too early"

    def seen(self, key: DkimKey) -> bool:
        return self.of.visible.get(self.of.name(key.selector)) == dkim_value(key)


@pytest.mark.rest
@pytest.mark.parametrize("seed", range(3))
def test_at_random(database: Database, seed: int) -> None:
    with database.transaction() as session:
        of = Rotating(session, OFTEN, method="cname" if seed % 2 else "txt")
        of.publish(*of.states())
        chance = Chance(of, seed)
        chance.days(180)
        assert chance.rotations >= 6
