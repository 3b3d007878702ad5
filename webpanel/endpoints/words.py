"""What events, standings and states are called on the pages of Webhooks."""

from __future__ import annotations

MAIL = {
    "accepted": "we have taken the message",
    "held": "it waits for a limit or for money",
    "released": "held no longer: it goes on",
    "delivered": "the recipient’s server took it",
    "deferred": "not taken yet; we try again",
    "bounced": "refused for good, at once or later",
    "expired": "given up after days of trying",
    "rejected": "refused during the SMTP dialogue",
    "voided": "it did not reach the queue, and is free",
    "suppressed": "left out: on the suppression list",
    "sandboxed": "of a test credential: never sent",
    "requeued": "goes on under a new queue ID",
    "notified": "a report went to the sender",
    "complained": "the recipient called it spam",
    "unsubscribed": "the recipient wants no more of the stream",
}
ACCOUNT = {
    "balance.low": "less is left than you chose",
    "balance.exhausted": "the next message cannot be paid",
    "balance.restored": "mail can be paid again",
    "deposit.paid": "money was credited",
    "deposit.reversed": "a payment was taken back",
    "topup.failed": "the saved card could not be charged",
    "invoice.issued": "an invoice is there",
    "cap.reached": "a day’s spending cap was reached",
    "domain.verified": "its required records were seen",
    "domain.failing": "its records are wrong for days",
    "domain.failed": "mail from it is refused, for its records",
    "domain.restored": "its records are right again",
    "domain.lost": "another account has proved control of it",
    "dkim.publish": "a new key waits for its record",
    "dkim.rotated": "a new key signs",
    "dmarc.new_source": "a new sender was seen in reports",
    "dmarc.ready": "the next DMARC policy can come",
    "endpoint.failing": "an endpoint has taken nothing for a day",
    "endpoint.paused": "it took nothing for three days, and gets no more",
    "delivery.misconfigured": "servers refuse a domain for its records",
}
STANDINGS = {"active": "green", "failing": "yellow", "paused": "orange", "disabled": "secondary"}
# In the order in which they are offered.
STATES = {"waiting": "yellow", "delivered": "green", "dead": "red"}
