"""What comes back, once: events, suppressions, and a copy to whom it was addressed to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from franking.mail.returnpath import Expired, ReturnPaths
from tests import returned
from tests.worker.inbound.returning import (
    ANNA,
    BERT,
    NOW,
    PAIR,
    PATHS,
    QUEUE_ID,
    SENDER,
    TOKENS,
    World,
)


def test_a_bounce_ends_the_message_and_suppresses_the_recipient(world: World) -> None:
    assert world.comes(returned.dsn(ANNA)) == 1
    assert (world.status(), world.left()) == ("bounced", (0, 0))
    event = world.event("bounced")
    assert (event.recipient, event.enhanced_code, event.smtp_code) == (ANNA, "5.1.1", 550)
    assert event.category == "invalid_recipient"
    assert event.detail == {"reported_by": "mx.receiver.example"}
    assert abs(event.at - NOW) < timedelta(seconds=1)
    assert world.suppressed() == [(ANNA, "hard_bounce", "account")]
    assert world.tallies() == {"accepted": 1, "passed_on": 1}


def test_it_is_passed_on_to_the_original_sender_as_it_came(world: World) -> None:
    report = returned.dsn(ANNA)
    world.comes(report)
    [(to, data)] = world.sent
    assert (to, data) == (SENDER, report.replace(b"\r\n", b"\n"))
    assert world.event("notified").detail == {
        "kind": "passed on", "to": SENDER, "action": "failed"
    }  # fmt: skip


def test_the_same_report_again_changes_nothing(world: World) -> None:
    for _ in range(3):
        assert world.comes(returned.dsn(ANNA)) == 1
    assert world.kinds() == ["bounced", "notified"]
    assert len(world.sent) == 1


def test_all_recipients_of_one_report(world: World) -> None:
    world.comes(returned.dsn(ANNA, BERT.upper()), PATHS.address(PAIR))
    assert (world.status(PAIR), len(world.sent)) == ("bounced", 1)
    assert sorted(world.kinds(PAIR)) == ["bounced", "bounced", "notified", "notified"]


def test_what_a_report_says_of_others_is_nothing(world: World) -> None:
    """Its writer may be anybody who has seen the token; it stands for one message."""
    world.comes(returned.dsn("victim@example.org"), PATHS.address(PAIR))
    assert world.kinds(PAIR) == ["notified"]
    assert (world.status(PAIR), world.suppressed()) == ("delivered", [])


def test_mail_that_was_forwarded_fails_at_another_address(world: World) -> None:
    world.comes(returned.dsn("anna@elsewhere.example"))
    event = world.event("bounced")
    assert (event.recipient, event.detail["reported_as"]) == (ANNA, "anna@elsewhere.example")


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [("delayed", "4.4.1", 0), ("delivered", "2.0.0", 1), ("relayed", "2.0.0", 1)],
)
def test_only_a_failure_is_a_bounce(world: World, action: str, status: str, told: int) -> None:
    """A delay is no end; who has asked for a receipt gets it."""
    world.comes(returned.dsn(ANNA, action=action, status=status, said=""))
    assert (world.status(), world.suppressed(), len(world.sent)) == ("delivered", [], told)
    world.comes(returned.dsn(ANNA))
    assert (world.status(), len(world.sent)) == ("bounced", told + 1)


def test_a_block_of_ours_suppresses_nobody(world: World) -> None:
    world.comes(returned.dsn(ANNA, status="5.7.1", said="550 5.7.1 blocked using zen.spamhaus.org"))
    assert (world.status(), world.suppressed()) == ("bounced", [])


def test_a_bounce_in_words_is_a_guess(world: World) -> None:
    world.comes(returned.in_words(ANNA))
    event = world.event("bounced")
    assert (event.recipient, event.detail["guessed"]) == (ANNA, True)
    assert (world.suppressed(), world.sent) == ([], [])
    assert world.tallies() == {"heuristic": 1}


def test_an_automatic_reply_is_dropped(world: World) -> None:
    for to in (PATHS.address(QUEUE_ID), "complaints@b.example"):
        assert world.comes(returned.absence(), to) == 1
    assert (world.kinds(), world.left(), world.sent) == ([], (0, 0), [])
    assert world.tallies() == {"automatic_reply": 2}


@pytest.mark.parametrize(
    ("to", "tally"),
    [
        (PATHS.address(QUEUE_ID).replace("-", "-x"), "forged"),
        (ReturnPaths(bytes(32), "b.example").address(QUEUE_ID), "forged"),
        (PATHS.address("4gDmcX3y9Gz1sKp"), "expired"),
        (PATHS.address("zzzzzz9y9Gz1sKp"), "unusable"),  # of a message that is gone
        (f"unsubscribe+{TOKENS.token(QUEUE_ID)[:-1]}x@b.example", "forged"),
        (f"unsubscribe+{TOKENS.token('zzzzzz9y9Gz1sKp')}@b.example", "unusable"),
        ("complaints@b.example", "unusable"),  # a bounce
        ("postmaster@b.example", "unusable"),
        (SENDER, "unusable"),
    ],
)
def test_what_no_token_vouches_for(world: World, to: str, tally: str) -> None:
    """A customer may write to any of them, past the look that others' mail is given."""
    assert world.comes(returned.dsn(ANNA), to) == 1
    assert (world.kinds(), world.suppressed(), world.sent) == ([], [], [])
    assert (world.left(), world.tallies()) == ((0, 1), {tally: 1})


def test_a_token_counts_as_it_was_when_the_mail_came(world: World) -> None:
    """However long nobody has read it."""
    made_at = datetime(2026, 5, 11, 17, 17, 16, tzinfo=UTC)
    old = PATHS.address("4gDmcX3y9Gz1sKp")
    with pytest.raises(Expired):
        PATHS.check(old, NOW)
    world.comes(returned.dsn(ANNA), old, age=(NOW - made_at).total_seconds() - 86_400)
    assert world.tallies() == {"unusable": 1}  # the token is good, and the message is gone


def test_a_complaint_whose_recipient_is_redacted(world: World) -> None:
    original = f"X-Franking-Ref: {PATHS.reference(QUEUE_ID)}\nSubject: Hello\n\nHello\n"
    world.comes(returned.complaint(original.encode()), "complaints@b.example")
    event = world.event("complained")
    assert (event.recipient, event.detail["feedback_type"]) == (ANNA, "abuse")
    assert world.status() == "delivered"
    assert world.suppressed() == [(ANNA, "complaint", "stream")]
    world.comes(returned.complaint(original.encode()), "complaints@b.example")
    assert world.kinds() == ["complained"]


def test_a_complaint_about_one_of_several(world: World) -> None:
    original = f"X-Franking-Ref: {PATHS.reference(PAIR)}\nSubject: Hello\n\nHello\n".encode()
    world.comes(returned.complaint(original, [BERT]), "complaints@b.example")
    assert world.event("complained").recipient == BERT


def test_a_complaint_with_a_forged_reference(world: World) -> None:
    forged = ReturnPaths(bytes(32), "b.example").reference(QUEUE_ID)
    original = f"X-Franking-Ref: {forged}\nSubject: Hello\n\nHello\n".encode()
    world.comes(returned.complaint(original, [ANNA]), "complaints@b.example")
    assert (world.kinds(), world.suppressed()) == ([], [])
    assert world.tallies() == {"forged": 1}


def test_a_mail_to_unsubscribe(world: World) -> None:
    for _ in range(2):
        world.comes(b"Subject: unsubscribe\n\n", f"unsubscribe+{TOKENS.token(QUEUE_ID)}@b.example")
    assert world.kinds() == ["unsubscribed"]
    assert world.suppressed() == [(ANNA, "unsubscribe", "stream")]
    assert world.tallies() == {"accepted": 2}
