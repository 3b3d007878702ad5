"""What customers and the operator do: money, prices, plans, caps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from sqlalchemy import update
from sqlalchemy.orm import Session

from franking.accounts import rules as rules_of
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Narrowing, Rules, parse_window
from franking.money import ledger, pricing, terms
from franking.money.billing import preferences
from franking.money.models import Plan
from franking.money.pricing import Tier
from franking.money.terms import Terms
from franking.reasons import Taken
from tests.money.books import Sent
from tests.money.choices import Booking, Opening, Tiers, bookings, changes, kills, openings
from tests.money.world import World


class Customers(World):
    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[int, Terms] = {}
        self.prices: dict[int, dict[datetime, Tiers]] = {1: {}, 2: {}}
        self.plan_of = {1: 1, 2: 2}
        self.daily_cap: dict[int, int | None] = {}
        self.own_cap: dict[int, int | None] = {}
        self.suspended: set[int] = set()
        self.windows: set[int] = set()  # plans that hold mail

    def credential_cap(self, sent: Sent) -> int | None:
        return self.own_cap.get(sent.credential_id)

    # --- money ---------------------------------------------------------------------------------

    @rule(booking=bookings, killed_after=kills, twice=st.booleans())
    def book(self, booking: Booking, killed_after: int | None, twice: bool) -> None:
        """A reference may have been used before, for anything: then nothing is booked."""
        known = self._is_booked(booking)
        if not known:
            self.asked[booking.reference] = (booking.account_id, booking.effect)
        for attempt in (killed_after, None) if twice else (killed_after,):
            done = self.run(lambda: self._book(booking), attempt)
            assert not (known and done)
            self.observe()
            known = self._is_booked(booking)
            assert known or not done

    def _is_booked(self, booking: Booking) -> bool:
        return any(booking.reference in each.booked for each in self.accounts.values())

    def _book(self, booking: Booking) -> bool:
        """Whether it was new."""
        account_id, amount, name = booking.account_id, booking.amount, str(booking.number)
        try:
            with self.database.transaction() as session:
                if booking.kind == "deposit":
                    ledger.deposit(session, account_id, amount, reference=name, now=self.now)
                elif booking.kind == "reversal":
                    ledger.reverse_deposit(
                        session, account_id, amount, reference=name, now=self.now
                    )
                elif booking.kind == "fee":
                    ledger.charge_fee(session, account_id, amount, reference=name, now=self.now)
                else:
                    ledger.adjust(
                        session, account_id, booking.effect, reference=name, note="",
                        now=self.now,
                    )  # fmt: skip
        except Taken:
            return False
        return True

    # --- prices, plans, caps ---------------------------------------------------------------------

    @initialize(first=openings, second=openings)
    def begin(self, first: Opening, second: Opening) -> None:
        for number, opening in ((1, first), (2, second)):
            self.price(number, opening.tiers, timedelta(0))
            self.agree(number, opening.terms)
            if opening.money:
                self.deposit(number, opening.money)
            if opening.cap is not None:
                self.cap(number, opening.cap)
            if opening.own_cap is not None:
                self.cap_credential(number, opening.own_cap)

    def deposit(self, account_id: int, amount: int) -> None:
        booking = Booking(account_id, "deposit", amount, 1000 + len(self.asked))
        self.book(booking=booking, killed_after=None, twice=False)

    @rule(change=changes)
    def change(self, change: tuple[str, Any]) -> None:
        name, values = change
        getattr(self, name)(*values)

    def _write(self, action: Callable[[Session], object]) -> None:
        with self.database.transaction() as session:
            action(session)

    def price(self, plan_id: int, tiers: Tiers, later: timedelta) -> None:
        starts_at = self.now + later
        if later or starts_at not in self.prices[plan_id]:

            def change(session: Session) -> None:
                plan = session.get_one(Plan, plan_id)
                listed = [Tier(*tier) for tier in tiers]
                pricing.set_price(session, plan, listed, starts_at=starts_at, now=self.now)

            self._write(change)
            self.prices[plan_id][starts_at] = tiers

    def agree(self, plan_id: int, agreed: Terms) -> None:
        chosen = update(Plan).values(terms=terms.stored(agreed)).where(Plan.id == plan_id)
        self._write(lambda session: session.execute(chosen))
        self.terms[plan_id] = agreed

    def hold_beyond_two_a_minute(self, plan_id: int, on: bool) -> None:
        rules = Rules(windows=(parse_window("2/minute hold"),) if on else ())
        chosen = update(Plan).values(rules=rules_of.stored(rules)).where(Plan.id == plan_id)
        self._write(lambda session: session.execute(chosen))
        (self.windows.add if on else self.windows.discard)(plan_id)

    def go_over(self, account_id: int, plan_id: int) -> None:
        chosen = update(Account).values(plan_id=plan_id).where(Account.id == account_id)
        self._write(lambda session: session.execute(chosen))
        self.plan_of[account_id] = plan_id

    def suspend(self, account_id: int, suspended: bool) -> None:
        status = "suspended" if suspended else "active"
        chosen = update(Account).values(status=status).where(Account.id == account_id)
        self._write(lambda session: session.execute(chosen))
        (self.suspended.add if suspended else self.suspended.discard)(account_id)

    def cap(self, account_id: int, cap: int | None) -> None:
        def change(session: Session) -> None:
            preferences.change(session, session.get_one(Account, account_id), daily_cap=cap)

        self._write(change)
        self.daily_cap[account_id] = cap

    def cap_credential(self, credential_id: int, cap: int | None) -> None:
        stored = rules_of.stored(Narrowing(daily_spend=cap))
        chosen = update(Credential).values(rules=stored).where(Credential.id == credential_id)
        self._write(lambda session: session.execute(chosen))
        self.own_cap[credential_id] = cap
