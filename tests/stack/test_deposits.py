"""Two nodes, one PostgreSQL: webhooks and top-up at the same time credit and charge once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest
from sqlalchemy import func, select

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.money import ledger, verification
from franking.money.billing.preferences import change
from franking.money.deposits import cards, deposits, manual, settlement, topup
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import Card, ProviderTrouble
from franking.money.deposits.stripe import StripeProvider
from franking.reasons import Taken
from franking.settings import Settings
from tests import factories
from tests.payments import settings_for, stripe_server
from tests.payments.stripe_server import StripeServer

pytestmark = pytest.mark.one_engine
EUR = 1_000_000
THREADS = 6  # of each node


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


def together(databases: list[Database], works: list[Callable[[Database], object]]) -> None:
    with ThreadPoolExecutor(THREADS * len(databases)) as pool:
        for done in [pool.submit(w, d) for w, d in zip(works, cycle(databases), strict=False)]:
            done.result()


def account(database: Database) -> int:
    with database.transaction() as session:
        return factories.account(session).id


def available(database: Database, account_id: int) -> int:
    with database.session() as session:
        assert verification.verify(session) == []
        return ledger.balance(session, account_id).available


def test_all_webhooks_at_once(both: list[Database], stripe: StripeServer) -> None:
    own = settings_for(Settings(), stripe.url, "")
    provider = StripeProvider(own.stripe)
    account_id = account(both[0])
    begun = deposits.begin(both[0].transaction, own, provider, account_id, 20 * EUR, actor="anna")
    intent = stripe.pay(begun.reference)
    stripe.refund(intent, 500)
    stripe.close(stripe.dispute(intent, 300), "won")

    def tell(event: stripe_server.Json) -> Callable[[Database], object]:
        def work(database: Database) -> None:
            told = provider.told(*stripe_server.signed(event))
            try:
                settlement.apply(database.transaction, provider, told)
            except ProviderTrouble:  # too many others at the same row: it is sent again
                work(database)

        return work

    together(both, [tell(event) for event in stripe.events * 3])
    assert available(both[0], account_id) == 15 * EUR


def test_every_worker_tops_up_at_once(both: list[Database], stripe: StripeServer) -> None:
    own = settings_for(Settings(), stripe.url, "")
    provider = StripeProvider(own.stripe)
    now = utcnow()
    accounts = [account(both[0]) for _ in range(5)]
    with both[0].transaction() as session:
        for each in accounts:
            wish = session.get_one(Account, each)
            change(session, wish, topup_below=5 * EUR, topup_amount=20 * EUR)
            cards.save(session, each, Card("cus_1", "pm_card_visa", None), now)

    def work(database: Database) -> None:
        topup.run(database.transaction, provider, own, now)

    together(both, [work] * 8)
    assert len(stripe.intents) == len(accounts)
    for event in stripe.events:
        told = provider.told(*stripe_server.signed(event))
        settlement.apply(both[1].transaction, provider, told)
    assert [available(both[0], each) for each in accounts] == [20 * EUR] * 5


def test_one_bank_reference_typed_many_times(both: list[Database]) -> None:
    account_id = account(both[0])

    def work(database: Database) -> None:
        try:
            with database.transaction() as session:
                owner = session.get_one(Account, account_id)
                manual.credit(session, owner, EUR, reference="bank-7", actor="cli:root")
        except Taken:
            pass

    together(both, [work] * 12)
    assert available(both[0], account_id) == EUR
    with both[0].session() as session:
        assert session.scalar(select(func.count()).select_from(Deposit)) == 1
