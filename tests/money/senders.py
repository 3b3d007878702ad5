"""Mail is offered to the milter, judged, accepted, and committed by Postfix or not."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from franking.mail.acceptance import DuplicateQueueId, NotAccepted, Outcome
from franking.reasons import AccountSuspended, CapReached, InsufficientBalance
from tests.money.books import Agreed, Prices, Sent
from tests.money.choices import End, Mail, ends, kills, mails, moments
from tests.money.customers import Customers
from tests.money.processes import Offer
from tests.money.world import OWNERS, START
from tests.worker.loglines import queue_id


class Senders(Customers):
    def __init__(self) -> None:
        super().__init__()
        self.offers: dict[str, tuple[int, Offer, Agreed]] = {}
        self.number = 0

    @rule(mails=st.lists(mails, min_size=1, max_size=6), end=ends)
    def send(self, mails: list[Mail], end: End) -> None:
        for mail in mails[:-1]:
            self.end(self.judge(mail), End())
        self.end(self.judge(mails[-1]), end)

    @rule(mail=mails, times=st.integers(4, 10))
    def send_many(self, mail: Mail, times: int) -> None:
        for _ in range(times):
            self.end(self.judge(mail), End())

    @rule(mail=mails)
    def offer(self, mail: Mail) -> None:
        """The milter passes its verdict; the rest comes later."""
        self.judge(mail)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), end=ends)
    def end_of_message(self, data: st.DataObject, end: End) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.offers))), end)

    @rule(by=moments)
    def wait(self, by: timedelta) -> None:
        """No verdict is carried out an hour later: Postfix has given up the milter by then."""
        self.postfix.now += by
        if by >= timedelta(hours=1):
            self.give_up_offers()

    def give_up_offers(self) -> None:
        for name in self.offers:
            self.postfix.reject(name)
        self.offers.clear()

    def judge(self, mail: Mail) -> str:
        self.number += 1
        name, now = queue_id(self.number), max(START, self.now - timedelta(seconds=mail.late))
        credential_id, suppressed = mail.credential_id, mail.suppressed
        authority = self.milterd.judge(f"frank_{credential_id}", now)
        addresses = [f"r{number}@dest.test" for number in range(mail.recipients)]
        self.postfix.begin(name, f"frank_{credential_id}", addresses[suppressed:])
        offer = Offer(name, OWNERS[credential_id], authority, addresses, suppressed, now)
        agreed = self._agreed(credential_id, mail.recipients - suppressed, now)
        self.offers[name] = (credential_id, offer, agreed)
        if agreed.units:
            self._early_check(credential_id, offer, agreed)
        return name

    def _agreed(self, credential_id: int, recipients: int, now: datetime) -> Agreed:
        account_id = OWNERS[credential_id]
        agreed = self.terms[self.plan_of[account_id]]
        listed = self.prices[self.plan_of[account_id]]
        prices = Prices(listed[max(s for s in listed if s <= now)], agreed.included)
        account = self.accounts[account_id]
        volume = account.volume(account.day_of(now))
        paid_one = prices.of_unit(max(volume, agreed.included)).amount
        return Agreed(
            prices=prices,
            units=recipients if agreed.billing_unit == "recipient" else min(recipients, 1),
            floor=agreed.overdraft + (agreed.grace * paid_one if agreed.on_empty == "grace" else 0),
            waits=agreed.on_empty == "hold",
            holds=self.plan_of[account_id] in self.windows,
            daily_cap=self.daily_cap.get(account_id),
            credential_cap=self.own_cap.get(credential_id),
            now=now,
        )

    def _early_check(self, credential_id: int, offer: Offer, agreed: Agreed) -> None:
        """policyd refuses early what would be refused later; caps also where mail may wait."""
        account = self.accounts[OWNERS[credential_id]]
        verdict, prices = account.verdict(agreed, credential_id)
        amount = sum(price.amount for price in prices)
        try:
            offer.authority.check_funds(len(offer.recipients) - offer.suppressed)
        except InsufficientBalance:
            assert verdict == "empty"
        except CapReached:
            assert account.over_cap(agreed, credential_id, amount)
        else:
            assert verdict in {"reserved", "waiting"}

    def end(self, name: str, end: End) -> None:
        """The milter's last transaction, and what becomes of the queue file after it."""
        credential_id, offer, agreed = self.offers.pop(name)
        account = self.accounts[OWNERS[credential_id]]
        verdict, prices = account.verdict(agreed, credential_id)
        self.expected[name] = Sent(
            name, account.id, credential_id, agreed.units, prices, verdict,
            capped_on=None if agreed.credential_cap is None else agreed.now.date(),
        )  # fmt: skip
        answer = self.run(lambda: self.milterd.accept(offer), end.killed_after)
        self.observe()
        taken = name in account.sent
        if isinstance(answer, Outcome):
            assert account.id not in self.suspended
            assert taken == bool(agreed.units)
            assert taken or answer is Outcome.DISCARD
            if answer is Outcome.HOLD:
                assert verdict == "waiting" or agreed.holds
        elif isinstance(answer, NotAccepted):
            assert verdict in {"empty", "capped"}
        elif isinstance(answer, AccountSuspended):
            assert account.id in self.suspended
        if taken:
            assert verdict in {"reserved", "waiting"}
            assert account.sent[name].state == verdict
        if answer is not Outcome.DELIVER and answer is not Outcome.HOLD:
            self.postfix.reject(name, silent=end.silent)
        elif end.file == "commit":
            self.postfix.commit(name, hold=answer is Outcome.HOLD)
        elif end.file == "killed":
            self.postfix.kill_cleanup(name)
        elif answer is Outcome.HOLD:
            self.postfix.will_hold(name)

    @precondition(lambda self: any(account.sent for account in self.accounts.values()))
    @rule(data=st.data(), killed_after=kills)
    def clock_goes_back(self, data: st.DataObject, killed_after: int | None) -> None:
        """Postfix gives out a queue ID for the second time."""
        known = sorted(name for account in self.accounts.values() for name in account.sent)
        name = data.draw(st.sampled_from(known))
        sent = self.message(name)
        authority = self.milterd.judge(f"frank_{sent.credential_id}", self.now)
        owner = OWNERS[sent.credential_id]
        offer = Offer(name, owner, authority, ["x@dest.test"], 0, self.now)
        try:
            answer = self.run(lambda: self.milterd.accept(offer), killed_after)
        except DuplicateQueueId:
            answer = None
        assert answer is None or owner in self.suspended
        self.observe()
