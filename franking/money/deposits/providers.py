"""Which ways to pay an installation offers: those whose settings are complete."""

from __future__ import annotations

from collections.abc import Mapping

from franking.money.deposits.btcpay import BtcpayProvider
from franking.money.deposits.manual import ManualProvider
from franking.money.deposits.provider import CardProvider, OnlineProvider, Provider
from franking.money.deposits.stripe import StripeProvider
from franking.settings import Settings


def offered(settings: Settings) -> dict[str, Provider]:
    """By name, in the order to show them.  Thread-safe; made once per process."""
    found: list[Provider] = []
    card, coins = settings.stripe, settings.btcpay
    if card.secret_key.get_secret_value() and card.webhook_secret.get_secret_value():
        found.append(StripeProvider(card))
    secrets = (coins.api_key.get_secret_value(), coins.webhook_secret.get_secret_value())
    if coins.url and coins.store_id and all(secrets):
        found.append(BtcpayProvider(coins))
    if settings.deposits.bank_transfer:
        found.append(ManualProvider())
    return {provider.name: provider for provider in found}


def online(providers: Mapping[str, Provider]) -> dict[str, OnlineProvider]:
    """Those that can be asked."""
    return {n: p for n, p in providers.items() if isinstance(p, OnlineProvider)}


def charging_cards(providers: Mapping[str, Provider]) -> CardProvider | None:
    """The one that automatic top-up uses."""
    return next((p for p in providers.values() if isinstance(p, CardProvider)), None)
