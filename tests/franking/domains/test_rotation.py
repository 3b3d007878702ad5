"""Keys come and go; the milter never signs with one that somebody cannot see."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database
from franking.domains import relayzone
from franking.domains.config import Dkim
from franking.domains.dkim import ED25519, RSA
from franking.domains.models import ZoneEntry
from franking.domains.rotation import selectors, steps
from franking.domains.rotation.status import status
from franking.mail.models import HeldMessage
from franking.money import ledger
from franking.money.models import Plan
from franking.money.terms import Terms, stored
from franking.reasons import Invalid, Taken
from tests import factories
from tests.franking.domains.rotating import DAY, MINUTE, OWN, START, TTL, Rotating

FIRST, SECOND = "s2026q1", "s2026q2"
TURN = START.replace(month=4)  # 10 April: three months later
BOTH = OWN.model_copy(update={"ed25519": True})


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """One transaction for all of a test's days: nobody else looks, and commits cost time."""
    with database.transaction() as session:
        yield session


@pytest.fixture
def txt(session: Session) -> Rotating:
    return Rotating(session)


@pytest.fixture
def cname(session: Session) -> Rotating:
    return Rotating(session, method="cname")


# --- TXT records of the customer's own --------------------------------------------------------


def test_a_key_is_replaced_in_its_turn(txt: Rotating) -> None:
    assert txt.until(TURN - 15 * DAY) == []
    assert txt.states() == {FIRST: "active"}
    assert txt.step(DAY) == [f"made key {SECOND}"]
    (asked,) = txt.notices("dkim.publish")
    assert asked.detail["record"] == f"{SECOND}._domainkey.example.com"
    assert (asked.detail["selector"], asked.detail["by"]) == (SECOND, "2026-04-10")
    txt.publish(SECOND)
    txt.until(TURN - MINUTE)
    assert txt.signing() == [FIRST], "not before its turn"
    txt.now = TURN - DAY
    assert txt.step(DAY) == [f"key {SECOND} signs"]
    assert txt.signing() == [SECOND]
    assert txt.states() == {FIRST: "retiring", SECOND: "active"}
    (changed,) = txt.notices("dkim.rotated")
    assert (changed.detail["selector"], changed.detail["keep_until"]) == (SECOND, "2026-04-23")
    assert txt.until(TURN + 11 * DAY) == []
    assert txt.step(DAY) == [f"removed key {FIRST}"]
    assert txt.states() == {SECOND: "active"}


def test_who_never_publishes_keeps_the_old_key_and_is_reminded(txt: Rotating) -> None:
    txt.until(TURN + 300 * DAY)
    assert txt.states() == {FIRST: "active", SECOND: "pending"}
    assert txt.signing() == [FIRST]
    at = [notice.at for notice in txt.notices("dkim.publish")]
    gaps = [later - before for before, later in itertools.pairwise(at)]
    assert min(gaps) == 7 * DAY and len(at) < 20


def test_who_publishes_late_is_rotated_late(txt: Rotating) -> None:
    txt.until(TURN + 20 * DAY)
    txt.publish(SECOND)
    txt.step(DAY)
    assert txt.signing() == [FIRST], "some resolver may still remember that there was nothing"
    txt.step(TTL - MINUTE)
    assert txt.signing() == [FIRST]
    txt.step(MINUTE)
    assert txt.signing() == [SECOND]
    assert txt.until(txt.now + 40 * DAY) == [f"removed key {FIRST}"], "three months from then on"


def test_a_record_that_goes_again_is_not_signed_with(txt: Rotating) -> None:
    txt.until(TURN - 10 * DAY)
    txt.publish(SECOND)
    txt.step(DAY)
    del txt.visible[txt.name(SECOND)]
    txt.until(TURN + DAY)
    assert txt.signing() == [FIRST]
    txt.visible[txt.name(SECOND)] = "v=DKIM1; k=rsa; p=another"
    txt.step(DAY)
    assert txt.signing() == [FIRST]


def test_nobodys_answer_changes_nothing(txt: Rotating) -> None:
    txt.until(TURN - 10 * DAY)
    txt.publish(SECOND)
    txt.step(DAY)
    name = txt.name(SECOND)
    text, txt.visible[name] = txt.visible[name], None
    count = len(txt.notices("dkim.publish"))
    txt.until(TURN + 20 * DAY)
    assert txt.signing() == [FIRST] and len(txt.notices("dkim.publish")) == count
    txt.visible[name] = text
    assert txt.step() == [f"key {SECOND} signs"], "it was seen before, for long enough"


def test_nothing_is_due_twice(txt: Rotating) -> None:
    for _ in range(130):
        txt.publish(*txt.states())
        txt.step(DAY)
        assert txt.step() == []
        assert steps.due(txt.session, txt.now, 10) == []
        assert steps.due(txt.session, txt.now + 7 * DAY, 10) == [txt.domain_id]


def test_a_suspended_domain_is_left_alone(txt: Rotating) -> None:
    txt.change(lambda domain: setattr(domain, "suspended_at", START))
    assert txt.until(TURN + DAY) == []
    txt.change(lambda domain: setattr(domain, "suspended_at", None))
    assert txt.step() == [f"made key {SECOND}"]


def test_zero_months_is_never(session: Session) -> None:
    never = Rotating(session, Dkim(rotate_months=0))
    assert never.until(START + 500 * DAY) == []
    assert never.begin() == ["s2027q2"], "but by hand"


# --- behind CNAMEs ----------------------------------------------------------------------------


def test_slots_take_turns_without_the_customer(cname: Rotating) -> None:
    used: list[str] = []
    for _ in range(430):
        cname.until(cname.now + DAY)
        if cname.signing() != used[-1:]:
            used += cname.signing()
    assert used == ["frank1", "frank2", "frank1", "frank2", "frank1"]
    assert cname.notices("dkim.publish") == []


def test_a_slot_is_not_reused_before_its_key_is_gone(cname: Rotating) -> None:
    assert cname.begin() == ["frank2"]
    cname.step()
    cname.step(timedelta(seconds=OWN.zone_ttl))
    assert cname.signing() == ["frank2"]
    before = cname.entries()["frank1"]
    with pytest.raises(Taken, match=r"frank1 and frank2 are in use until 2026-01-22"):
        cname.begin()
    cname.until(cname.now + 11 * DAY)
    assert cname.entries()["frank1"] == before
    assert cname.step(DAY) == ["removed key frank1"]
    assert cname.begin() == ["frank1"]


def test_rotation_more_often_than_slots_come_free_waits(session: Session) -> None:
    """A month is due while the slot of the month before is still kept for 40 days."""
    cname = Rotating(
        session, OWN.model_copy(update={"rotate_months": 1, "keep_days": 35}), method="cname"
    )
    removals = []
    for _ in range(200):
        slots = cname.entries()
        if any(text.startswith("removed") for text in cname.until(cname.now + DAY)):
            removals.append(cname.now)
        for slot, (value, _) in cname.entries().items():
            if slot in slots and slots[slot][0] not in (None, value):
                assert removals[-1] == cname.now, "a slot changes only when its key has gone"
    assert len(removals) >= 3


def test_a_key_that_the_zone_does_not_have_is_not_asked_for(cname: Rotating) -> None:
    cname.telling = False
    cname.begin()
    cname.visible = {cname.name("frank2"): "v=DKIM1; k=rsa; p=old"}
    domain = cname.domain()
    assert steps.preview(cname.session, domain, cname.now, OWN).questions == []
    (_, coming) = status(cname.session, domain, cname.now, OWN)
    assert coming.waits_for == "the server of keys.relay.example has not been told yet"
    cname.step(DAY)
    assert cname.signing() == ["frank1"]
    cname.telling = True
    cname.tell()
    (asked,) = steps.preview(cname.session, cname.domain(), cname.now, OWN).questions
    assert (asked.name, asked.type) == ("frank2._domainkey.example.com", "TXT")
    cname.step(MINUTE)
    assert cname.signing() == ["frank1"], "what was there before may be remembered for a while"
    cname.step(timedelta(seconds=OWN.zone_ttl))
    assert cname.signing() == ["frank2"]


def test_who_has_published_one_cname_only_is_told(cname: Rotating) -> None:
    cname.telling = False  # so that nothing makes frank2 visible
    cname.until(TURN - 13 * DAY)
    for entry in cname.session.query(ZoneEntry):
        entry.published = entry.value
    cname.until(TURN)
    assert cname.notices("dkim.publish") == []
    cname.step(2 * DAY)
    (asked,) = cname.notices("dkim.publish")
    assert asked.detail["record"] == "frank2._domainkey.example.com"
    assert cname.signing() == ["frank1"]


# --- by hand ----------------------------------------------------------------------------------


def test_by_hand(txt: Rotating) -> None:
    assert txt.begin() == ["s2026q1-2"]
    assert txt.begin() == ["s2026q1-2"], "it waits already"
    with pytest.raises(Taken, match="s2026q1-2"):
        txt.begin("fresh")
    (asked,) = txt.notices("dkim.publish")
    assert "by" not in asked.detail
    txt.publish("s2026q1-2")
    txt.step()
    assert txt.signing() == [FIRST]
    txt.step(TTL - MINUTE)
    assert txt.signing() == [FIRST]
    txt.step(MINUTE)
    assert txt.signing() == ["s2026q1-2"]


def test_by_hand_hurries_the_key_that_waits(txt: Rotating) -> None:
    txt.until(TURN - 10 * DAY)
    txt.publish(SECOND)
    txt.step(DAY)
    assert txt.begin() == [SECOND]
    assert txt.step(DAY) == [f"key {SECOND} signs"]


def test_by_hand_with_a_selector(txt: Rotating) -> None:
    with pytest.raises(Invalid, match="no selector"):
        txt.begin("no_good")
    with pytest.raises(Taken, match=FIRST):
        txt.begin(FIRST)
    assert txt.begin("New") == ["new"]


def test_refused_by_hand(session: Session) -> None:
    cname = Rotating(session, method="cname")
    with pytest.raises(Invalid, match="fixed selectors"):
        cname.begin("new")
    cname.change(lambda domain: setattr(domain, "verified_at", None))
    with pytest.raises(Invalid, match="not verified"):
        cname.begin()


# --- from one way to the other ----------------------------------------------------------------


def test_to_cnames_and_back(txt: Rotating) -> None:
    txt.telling = False
    assert txt.switch("cname") == ["frank1"]
    assert txt.switch("cname") == ["frank1"]
    assert txt.signing() == [FIRST]
    txt.telling = True
    txt.tell()
    txt.step()
    txt.step(DAY)
    assert txt.signing() == ["frank1"]
    assert txt.states() == {FIRST: "retiring", "frank1": "active"}
    (changed,) = txt.notices("dkim.rotated")
    assert changed.detail["keep_until"] == "2026-01-24"
    txt.until(txt.now + 13 * DAY)
    (coming,) = txt.switch("txt")
    assert coming == f"{FIRST}-2", "nobody has seen another key of this name"
    txt.publish(coming)
    txt.until(txt.now + 2 * DAY)
    assert txt.signing() == [coming]
    assert "frank1" in txt.entries(), "mail that it has signed is under way"
    changed = txt.notices("dkim.rotated")[-1]
    assert changed.detail["keep_until"] == "2026-02-08", "the customer's CNAME leads there"
    txt.until(txt.now + 13 * DAY)
    assert txt.entries() == {"frank1": (None, None)}


def test_back_before_anything_came_of_it(txt: Rotating) -> None:
    txt.telling = False
    txt.switch("cname")
    assert txt.switch("txt") == []
    assert (txt.states(), txt.entries()) == ({FIRST: "active"}, {})


def test_before_it_is_verified_the_keys_are_just_others(session: Session) -> None:
    fresh = Rotating(session, verified=False)
    assert fresh.switch("cname") == ["frank1"]
    assert fresh.states() == {"frank1": "active"} and fresh.signing() == []
    assert fresh.until(TURN + DAY) == []


def test_no_zone_no_cnames(session: Session) -> None:
    with pytest.raises(Invalid, match=r"dkim\.zone"):
        Rotating(session, Dkim()).switch("cname")


# --- two algorithms ---------------------------------------------------------------------------


def test_a_second_algorithm_comes_with_the_next_rotation(txt: Rotating) -> None:
    txt.own = BOTH
    assert txt.until(TURN - 15 * DAY) == []
    assert txt.step(DAY) == [f"made key {SECOND}", f"made key {SECOND}e"]
    txt.publish(SECOND, f"{SECOND}e")
    txt.until(TURN)
    assert txt.signing() == [SECOND, f"{SECOND}e"]
    assert {key.selector: key.algorithm for key in txt.rows()}[f"{SECOND}e"] == ED25519


def test_one_of_two_records_is_published(session: Session) -> None:
    txt = Rotating(session, BOTH)
    assert txt.signing() == [FIRST, f"{FIRST}e"]
    txt.until(TURN - 5 * DAY)
    txt.publish(SECOND)
    txt.until(TURN + 200 * DAY)
    assert txt.signing() == [f"{FIRST}e", SECOND], "each for itself"


def test_an_algorithm_that_is_switched_off_ends_with_its_key(session: Session) -> None:
    cname = Rotating(session, BOTH, method="cname")
    assert cname.signing() == ["frank1", "frank1e"]
    cname.own = OWN
    cname.until(TURN - DAY)
    assert cname.signing() == ["frank1", "frank1e"]
    cname.until(TURN + DAY)
    assert cname.signing() == ["frank2"]
    cname.until(TURN + 14 * DAY)
    assert cname.states() == {"frank2": "active"}


# --- the end ----------------------------------------------------------------------------------


def test_a_removed_domain_leaves_nothing(cname: Rotating) -> None:
    cname.begin()
    cname.change(lambda domain: setattr(domain, "removed_at", cname.now))
    cname.step()
    assert cname.rows() == []
    assert {value for value, _ in cname.entries().values()} == {None}
    assert cname.domain().dkim_due_at is None


def test_a_lost_domain_leaves_its_targets_empty_for_ever(cname: Rotating) -> None:
    domain = cname.domain()
    old = relayzone.target(domain, "frank1", OWN.zone)
    domain.verified_at = None
    relayzone.leave(cname.session, domain, cname.now)
    assert cname.session.get_one(ZoneEntry, old).value is None
    cname.step()
    domain = cname.domain()
    assert relayzone.target(domain, "frank1", OWN.zone) != old
    assert cname.session.get_one(ZoneEntry, old).value is None


def test_mail_in_the_hold_queue_prolongs_a_key(cname: Rotating) -> None:
    account = cname.domain().account_id
    owner = cname.session.get_one(Account, account)
    ledger.deposit(cname.session, account, 1_000_000, reference="x")
    made = factories.credential(cname.session, owner)
    factories.message(
        cname.session, made.credential.username, cname.domain_id, "4held", START + MINUTE
    )
    cname.session.add(HeldMessage(
        queue_id="4held", node="n1", account_id=account, credential_id=made.credential.id,
        recipients=1, reason="limit", held_at=START,
    ))  # fmt: skip
    cname.begin()
    cname.step(DAY)
    cname.step(DAY)
    cname.until(START + 60 * DAY)
    assert cname.states() == {"frank1": "retiring", "frank2": "active"}
    cname.session.get_one(HeldMessage, ("4held", "n1")).released_at = cname.now
    assert cname.until(cname.now + 11 * DAY) == []
    assert cname.until(cname.now + 3 * DAY) == ["removed key frank1"]


def test_where_mail_waits_for_money_records_stay_longer(txt: Rotating) -> None:
    for plan in txt.session.query(Plan):
        plan.terms = stored(Terms(on_empty="hold", hold_days=20))
    txt.begin()
    txt.publish("s2026q1-2")
    txt.until(START + 2 * DAY)
    (changed,) = txt.notices("dkim.rotated")
    assert changed.detail["keep_until"] == "2026-02-14", "2 + 12 + 20 + 1 days"


@pytest.mark.parametrize(
    ("selector", "algorithm", "taken", "expected"),
    [
        ("s{year}q{quarter}", RSA, (), "s2026q1"),
        ("s{year}q{quarter}", ED25519, (), "s2026q1e"),
        ("s{year}q{quarter}", RSA, ("s2026q1",), "s2026q1-2"),
        ("s{year}q{quarter}", ED25519, ("s2026q1e", "s2026q1"), "s2026q1-2e"),
        ("m{year}{month:02}", RSA, ("m202601", "m202601-2"), "m202601-3"),
    ],
)
def test_dated_selectors(
    selector: str, algorithm: str, taken: tuple[str, ...], expected: str
) -> None:
    assert selectors.dated(Dkim(selector=selector), START, algorithm, taken) == expected


def test_slots() -> None:
    assert selectors.slots(OWN, "frank") == ("frank1", "frank2")
    assert selectors.slots(BOTH, "mom") == ("mom1", "mom2", "mom1e", "mom2e")
