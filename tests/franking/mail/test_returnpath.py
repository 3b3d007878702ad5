"""Return paths: ours are known again in any case and at any domain, others are nobody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail.returnpath import Expired, Forged, ReturnPaths
from tests.factories import MASTER_KEY

PATHS = ReturnPaths(MASTER_KEY, "b.example.net")
QUEUE_ID = "4gDmcX3y9Gz1sKp"
MADE = datetime(2026, 5, 11, 17, 17, 16, tzinfo=UTC)


def queue_id(address: str, paths: ReturnPaths = PATHS) -> str:
    return paths.check(address, MADE).queue_id


@given(
    st.from_regex(r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}", fullmatch=True),
    st.sampled_from([None, "bounce.shop.example"]),
)
def test_ours_come_back(made: str, domain: str | None) -> None:
    address = PATHS.address(made, domain)
    assert len(address.partition("@")[0]) <= 64
    for written in (address, address.upper(), address.lower()):
        assert PATHS.check(written, datetime(1970, 1, 1, tzinfo=UTC)).queue_id == made


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bounce@b.example.net",
        "bounce+@b.example.net",
        "bounce+abc@b.example.net",
        "bounce+abc-def@b.example.net",
        "bounce+é-x@b.example.net",
        PATHS.address(QUEUE_ID).replace("@", "x@"),
        PATHS.address(QUEUE_ID) + "@b.example.net",
        PATHS.address(QUEUE_ID).replace("-", "-x"),
        PATHS.address(QUEUE_ID).replace("+", "+g"),
        ReturnPaths(bytes(32), "b.example.net").address(QUEUE_ID),
        PATHS.address(QUEUE_ID).removeprefix("bounce+"),
    ],
)
def test_others_are_nobodys(address: str) -> None:
    with pytest.raises(Forged):
        PATHS.check(address, MADE)


@given(st.text())
def test_whatever_is_written_there(local: str) -> None:
    with pytest.raises(Forged):
        PATHS.check(f"bounce+{local}@b.example.net", MADE)


def test_the_queue_id_says_how_old_a_token_is() -> None:
    """Its first six characters are the seconds since 1970 (Postfix, global/mail_queue.h)."""
    address, days = PATHS.address(QUEUE_ID), timedelta(days=14)
    assert PATHS.check(address, MADE).made_at == MADE
    assert queue_id(address) == QUEUE_ID
    PATHS.check(address, MADE + days)
    with pytest.raises(Expired, match="2026-05-11"):
        PATHS.check(address, MADE + days + timedelta(seconds=1))
    forgetful = ReturnPaths(MASTER_KEY, "b.example.net", days=1)
    with pytest.raises(Expired):
        forgetful.check(address, MADE + days)
    assert PATHS.check(PATHS.address("C0FFEE"), MADE).made_at is None  # no long queue ID


def test_addresses_of_the_old_master_key_stay_known() -> None:
    """Bounces come back for days after the key was changed."""
    new = ReturnPaths(bytes(32), "b.example.net", MASTER_KEY)
    assert queue_id(PATHS.address(QUEUE_ID), new) == QUEUE_ID
    assert new.address(QUEUE_ID) == ReturnPaths(bytes(32), "b.example.net").address(QUEUE_ID)
    with pytest.raises(Forged):
        queue_id(new.address(QUEUE_ID))
