"""Reports go on to the original sender, where that is wanted and safe; some wait for our log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from franking.domains.models import Domain
from franking.mail import events
from franking.mail.events import Attempt
from franking.mail.models import Event, Message, Recipient
from tests import returned
from tests.worker.inbound.returning import ANNA, NOW, PAIR, PATHS, QUEUE_ID, World
from worker.inbound import passing, service
from worker.inbound.bounces import MOST_PASSED_ON


class TestPassingOn:
    def test_not_where_the_plan_says_so(self, world: World) -> None:
        world.rule(forward_bounces=False)
        world.comes(returned.dsn(ANNA))
        assert (world.status(), world.sent) == ("bounced", [])

    @pytest.mark.parametrize(
        "sender",
        [
            "",
            "me@gmail.example",
            "me@sub.example.com",
            "me@b.example",
            PATHS.address(PAIR, "example.com"),
            '"a b"@example.com',
        ],
    )
    def test_only_to_an_address_on_a_verified_domain(self, world: World, sender: str) -> None:
        world.sender(sender)
        world.comes(returned.dsn(ANNA))
        assert (world.status(), world.sent) == ("bounced", [])

    def test_never_to_a_bounce_domain_of_a_customer(self, world: World) -> None:
        """It leads here, although the customer owns its name."""
        with world.database.transaction() as session:
            session.execute(update(Domain).values(allow_subdomains=True))
        world.sender("me@sub.example.com")
        world.comes(returned.dsn(ANNA))
        assert [to for to, _ in world.sent] == ["me@sub.example.com"]
        world.sender("me@bounce.example.com")
        world.comes(returned.dsn(ANNA), PATHS.address(PAIR))
        assert len(world.sent) == 1

    def test_so_many_a_minute(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("franking.mail.forwarding.is_passed_on", lambda *_: False)
        for _ in range(MOST_PASSED_ON + 2):
            world.comes(returned.dsn(ANNA))
        assert len(world.sent) == MOST_PASSED_ON
        assert world.tallies()["not_passed_on"] == 2

    def test_a_postfix_that_takes_nothing_is_asked_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler = world.service._handlers["bounce"].__self__  # type: ignore[attr-defined]
        submit = handler._submit

        def fails(*_: object) -> None:
            raise OSError("sendmail: 75")

        handler._submit = fails
        assert world.comes(returned.dsn(ANNA)) == 0
        assert (world.kinds(), world.left()) == (["bounced"], (1, 0))
        handler._submit = submit
        world.service._maildir._failed.clear()
        assert world.service.turn() == 1
        assert (world.kinds(), len(world.sent)) == (["bounced", "notified"], 1)

    def test_sendmail_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match=r"sendmail: .*main\.cf"):
            _sendmail(tmp_path)("a@example.net", b"Subject: x\n\n")


_sendmail = passing.sendmail  # before it is replaced


class TestBeforeTheLog:
    """The report of a fast server is here before our own log was read."""

    @pytest.fixture
    def early(self, world: World) -> Callable[[], None]:
        with world.database.transaction() as session:
            session.execute(delete(Event).where(Event.kind == "delivered"))
            session.execute(update(Recipient).values(status="queued", final_at=None))
            session.execute(update(Message).values(status="queued"))

        def deliver() -> None:
            with world.database.transaction() as session:
                events.record(session, "n1", [Attempt(QUEUE_ID, ANNA, "delivered", NOW)])

        return deliver

    def test_it_waits_for_the_log(self, world: World, early: Callable[[], None]) -> None:
        world.comes(returned.dsn(ANNA))
        assert (world.kinds(), world.left()) == (["notified"], (1, 0))
        early()
        world.service._maildir._failed.clear()  # its time has come
        world.service.turn()
        assert (world.status(), world.left()) == ("bounced", (0, 0))
        assert (len(world.sent), world.tallies()["accepted"]) == (1, 1)

    def test_it_does_not_wait_for_ever(self, world: World, early: Callable[[], None]) -> None:
        world.comes(returned.dsn(ANNA), age=service.LONGEST_WAIT + 60)
        assert (world.left(), world.suppressed()) == ((0, 1), [])


def test_only_what_our_own_delivery_has_added_is_taken_away() -> None:
    added = b"Return-Path: <>\nX-Original-To: a@b\nDelivered-To: a@b\n"
    kept = b"Received: from x\nDelivered-To: c@d\n\nDelivered-To: e@f\n"
    assert passing.as_it_came(added + kept) == kept
    assert passing.as_it_came(kept) == kept
