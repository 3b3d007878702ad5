"""Return paths: ours are known again in any case, others are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail.returnpath import ReturnPaths
from tests.factories import MASTER_KEY

PATHS = ReturnPaths(MASTER_KEY, "b.example.net")
QUEUE_ID = "4gDmcX3y9Gz1sKp"


@given(st.from_regex(r"[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}", fullmatch=True))
def test_ours_come_back(queue_id: str) -> None:
    address = PATHS.address(queue_id)
    assert len(address.partition("@")[0]) <= 64
    for written in (address, address.upper(), address.lower()):
        assert PATHS.queue_id(written) == queue_id


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bounce@b.example.net",
        "bounce+@b.example.net",
        "bounce+abc@b.example.net",
        "bounce+abc-def@b.example.net",
        "bounce+é-x@b.example.net",
        PATHS.address(QUEUE_ID).replace("b.example.net", "other.example.net"),
        PATHS.address(QUEUE_ID).replace("-", "-x"),
        ReturnPaths(bytes(32), "b.example.net").address(QUEUE_ID),
        PATHS.address(QUEUE_ID).removeprefix("bounce+"),
    ],
)
def test_others_are_nobodys(address: str) -> None:
    assert PATHS.queue_id(address) is None


def test_addresses_of_the_old_master_key_stay_known() -> None:
    """Bounces come back for days after the key was changed."""
    new = ReturnPaths(bytes(32), "b.example.net", MASTER_KEY)
    assert new.queue_id(PATHS.address(QUEUE_ID)) == QUEUE_ID
    assert new.address(QUEUE_ID) == ReturnPaths(bytes(32), "b.example.net").address(QUEUE_ID)
    assert PATHS.queue_id(new.address(QUEUE_ID)) is None
