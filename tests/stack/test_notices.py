"""An account runs out of money: its people get mail, its endpoint a signed webhook, each once."""

from __future__ import annotations

import email
import email.policy
from typing import Any

from sessions import log_in, offer
from standardwebhooks import Webhook

from franking.accounts import account as accounts
from franking.accounts import users
from stack.instance import NOTICES_FROM
from stack.running import RunningStack
from tests.receiver import Receiver, receiver


def test_used_up_and_filled_up_again(stack: RunningStack) -> None:
    sender = stack.sender("runs-out", balance=1_500)  # one message and a half
    address = "owner@runs-out.test"
    with stack.database.transaction() as session:
        users.create(session, accounts.get(session, sender.account), address, "correct horse")
    with receiver() as endpoint, log_in(stack, sender) as client:
        made = stack.cli("endpoint", "create", f"{endpoint.url}/ok", "--account", sender.account)
        assert offer(client, sender, f"From: {sender.address}").startswith("250 ")
        delivery = stack.delivered(address)
        secret = Webhook(made["secret"])
        stack.until(lambda: "balance.exhausted" in told(endpoint, secret))
        stack.cli("topup", "10", "--account", sender.account)
        stack.until(lambda: "balance.restored" in told(endpoint, secret))
        events = told(endpoint, secret)
    assert [kind for kind in events if kind.startswith("balance.")] == [
        "balance.exhausted",
        "balance.restored",
    ]
    used_up = events["balance.exhausted"]["data"]
    assert (used_up["account"], used_up["available"]) == (sender.account, "0.0005")
    assert used_up["messages_left"] == 0
    message = email.message_from_bytes(delivery.content, policy=email.policy.default)
    assert (delivery.sender, message["To"]) == (NOTICES_FROM, address)
    assert message["Subject"] == "Franking: Balance exhausted (runs-out)"


def told(endpoint: Receiver, secret: Webhook) -> dict[str, Any]:
    """What has arrived, by its type; each verified, and each once."""
    events = [secret.verify(r.body, dict(r.headers.items())) for r in endpoint.requests]
    by_type = {event["type"]: event for event in events}
    assert len(by_type) == len(events)
    return by_type
