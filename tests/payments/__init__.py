"""Stand-ins for payment providers, and settings that lead to them."""

from __future__ import annotations

from pydantic import SecretStr

from franking.settings import Btcpay, Settings, Stripe
from tests.payments import btcpay_server, stripe_server


def settings_for(settings: Settings, stripe: str, btcpay: str) -> Settings:
    """These settings, with both providers at these addresses."""
    return settings.model_copy(
        update={
            "stripe": Stripe(
                secret_key=SecretStr(stripe_server.KEY),
                webhook_secret=SecretStr(stripe_server.WEBHOOK_SECRET),
                api_base=stripe,
            ),
            "btcpay": Btcpay(
                url=btcpay,
                store_id=btcpay_server.STORE,
                api_key=SecretStr(btcpay_server.KEY),
                webhook_secret=SecretStr(btcpay_server.WEBHOOK_SECRET),
            ),
        }
    )
