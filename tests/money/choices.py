"""What hypothesis chooses from: small prices and balances, so that their edges are met often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from franking.money.terms import Terms
from tests.money.world import OWNERS

Tiers = tuple[tuple[int, int], ...]

kills = st.none() | st.integers(0, 40)
account_ids = st.sampled_from(sorted(set(OWNERS.values())))
credential_ids = st.sampled_from(sorted(OWNERS))
plan_ids = st.sampled_from((1, 2))
caps = st.none() | st.integers(0, 40)
moments = st.sampled_from(
    [timedelta(seconds=s) for s in (1, 30, 61, 3600)] + [timedelta(days=1), timedelta(days=31)]
)
agreements = st.builds(
    Terms,
    billing_unit=st.sampled_from(("message", "recipient")),
    included=st.integers(0, 4),
    overdraft=st.integers(0, 12),
    on_empty=st.sampled_from(("reject", "grace", "hold", "hold")),
    grace=st.integers(0, 3),
    hold_days=st.sampled_from((1, 40)),
)


@st.composite
def tier_lists(draw: st.DrawFn) -> Tiers:
    starts = draw(st.lists(st.integers(1, 8), max_size=3, unique=True).map(sorted))
    return tuple((above, draw(st.integers(0, 9))) for above in (0, *starts))


@dataclass(frozen=True)
class Mail:
    """`late`: judged by a clock that is so many seconds behind."""

    credential_id: int
    recipients: int
    suppressed: int
    late: int


@dataclass(frozen=True)
class End:
    """Of a message: the milter's life, and the queue file's."""

    killed_after: int | None = None
    file: str = "commit"
    silent: bool = False


mails = st.builds(
    Mail, credential_ids, st.integers(1, 5), st.integers(0, 1), st.sampled_from((0, 0, 0, 2, 130))
)
ends = st.builds(
    End, kills, st.sampled_from(("commit", "commit", "later", "killed")), st.booleans()
)


@dataclass(frozen=True)
class Booking:
    """Something that is booked by hand; `number` is the provider's, or the admin's."""

    account_id: int
    kind: str
    amount: int
    number: int

    @property
    def reference(self) -> str:
        return f"{self.kind}:{self.number}"

    @property
    def effect(self) -> int:
        """What it does to the balance."""
        adds = self.kind == "deposit" or (self.kind == "adjustment" and self.amount % 2)
        return self.amount if adds else -self.amount


@dataclass(frozen=True)
class Opening:
    """What an account begins with; it is on a plan of its own."""

    terms: Terms
    tiers: Tiers
    money: int
    cap: int | None
    own_cap: int | None


bookings = st.builds(
    Booking,
    account_ids,
    st.sampled_from(("deposit", "deposit", "deposit", "reversal", "adjustment", "fee")),
    st.integers(1, 60),
    st.integers(0, 30),
)
openings = st.builds(Opening, agreements, tier_lists(), st.integers(0, 25), caps, caps)


def _change(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(name), st.tuples(*values))


changes = st.one_of(
    _change("price", plan_ids, tier_lists(), st.just(timedelta(0)) | moments),
    _change("agree", plan_ids, agreements),
    _change("hold_beyond_two_a_minute", plan_ids, st.booleans()),
    _change("go_over", account_ids, plan_ids),
    _change("suspend", account_ids, st.booleans()),
    _change("cap", account_ids, caps),
    _change("cap_credential", credential_ids, caps),
)
