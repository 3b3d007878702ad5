"""What Billing says in words: causes of ledger lines, what an empty balance leads to."""

from __future__ import annotations

from datetime import date

from franking.money.billing.forecast import Forecast
from franking.money.billing.position import Position
from franking.money.terms import Terms
from franking.notices.notices import MailState

CAUSES = {
    "capture": "Message",
    "refund": "Refund",
    "deposit": "Deposit",
    "reversal": "Deposit taken back",
    "fee": "Monthly fee",
    "adjustment": "Correction",
}
DIMENSIONS = {"credential": "Credential", "domain": "Domain", "tag": "Tag"}
MAILED: dict[MailState, str] = {
    "off": "not mailed",
    "waiting": "mail on its way",
    "sent": "mailed",
    "failed": "mail failed",
}
NOTICE_COLOURS = {
    "balance.low": "yellow",
    "balance.exhausted": "red",
    "balance.restored": "green",
    "deposit.paid": "green",
    "deposit.reversed": "orange",
    "topup.failed": "red",
    "invoice.issued": "azure",
    "cap.reached": "yellow",
    "domain.verified": "green",
    "domain.failing": "orange",
    "domain.failed": "red",
    "domain.restored": "green",
    "domain.lost": "red",
    "dkim.publish": "yellow",
    "dkim.rotated": "green",
    "dmarc.new_source": "yellow",
    "dmarc.ready": "azure",
}
NOTICE_PLACES = {"domain": "domains.show", "dkim": "domains.dkim", "dmarc": "domains.dmarc"}


def next_month(day: date) -> date:
    """The first day of the month after this one."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def units(terms: Terms, count: int) -> str:
    """`1 message`, `12,000 recipients`."""
    return f"{count:,} {terms.billing_unit}{'' if count == 1 else 's'}"


def on_empty(terms: Terms, place: Position | None) -> str:
    """One sentence: what happens to mail when there is no money for it."""
    free = ""
    if place is not None and place.now.unit_price == 0:
        free = " What costs nothing is accepted all the same."
    if terms.on_empty == "defer":
        text = "New mail is answered with 450, so that mail programs try again later by themselves."
    elif terms.on_empty == "hold":
        text = (
            "New mail is accepted and waits here; it is sent, the oldest first, once there is"
            f" money for it, or given up after {terms.hold_days}"
            f" day{'' if terms.hold_days == 1 else 's'}."
        )
    elif terms.on_empty == "grace" and terms.grace:
        text = (
            f"Up to {units(terms, terms.grace)} more are accepted and charged to your next deposit;"
            " then new mail is refused."
        )
    else:
        text = "New mail is refused (554) until you top up; nothing is charged for refused mail."
    return text + free


def lasts(left: Forecast) -> str:
    """`about 1,250 messages left, about 3 days at the last 7 days' use`"""
    if left.messages_left is None:
        return "Sending costs nothing at present."
    if left.messages_left == 0:
        return "no message left"
    text = f"about {left.messages_left:,} message{'' if left.messages_left == 1 else 's'} left"
    if left.days_left is None:
        return text
    return f"{text}, {_time(left.days_left)} at the last 7 days’ use"


def _time(days: float) -> str:
    if days < 1:
        return "less than a day"
    if days < 60:
        return f"about {days:.0f} day{'' if round(days) == 1 else 's'}"
    if days < 730:
        return f"about {days / 30.4:.0f} months"
    return "more than two years"
