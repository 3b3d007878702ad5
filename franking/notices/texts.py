"""Every sentence of a notice: in the panel's list, and in the mail.  No input or output here.

What a notice's `detail` has is described in `franking.notices.notices`; a text is also good
without a part that is missing, because details outlive the version that wrote them.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from franking.money.amounts import format_amount
from franking.notices import domain_texts, endpoint_texts

Detail = Mapping[str, Any]

TITLES: dict[str, str] = {
    "balance.low": "Balance low",
    "balance.exhausted": "Balance exhausted",
    "balance.restored": "Mail can be sent again",
    "deposit.paid": "Deposit received",
    "deposit.reversed": "Deposit taken back",
    "topup.failed": "Automatic top-up failed",
    "invoice.issued": "Invoice issued",
    "cap.reached": "Spending cap reached",
    **domain_texts.TITLES,
    **endpoint_texts.TITLES,
}

ADVICE: dict[str, str] = {
    "balance.low": "Add money in time, so that your mail is not interrupted.",
    "balance.exhausted": "No further mail is accepted until money is added.",
    "balance.restored": "Nothing needs to be done.",
    "deposit.paid": "Thank you. Nothing needs to be done.",
    "deposit.reversed": "If you do not expect this, please contact us. After a refund or a dispute"
    " of a card payment, automatic top-up is off until you set it again.",
    "topup.failed": "Please check the saved card, or add money by hand.",
    "invoice.issued": "It can be downloaded in the panel.",
    "cap.reached": "Mail beyond the cap is refused until the day ends (UTC), or the cap is raised.",
    **domain_texts.ADVICE,
    **endpoint_texts.ADVICE,
}

# What a kind is about, and the page that has it; others are about money.
PAGES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(domain_texts.TITLES, ("domains", "domains")),
    **dict.fromkeys(endpoint_texts.TITLES, ("webhooks", "webhooks")),
}


@dataclass(frozen=True)
class Mail:
    """What is mailed: `subject` is one line; `text` and `html` say the same."""

    subject: str
    text: str
    html: str


def sentence(kind: str, detail: Detail) -> str:
    """One sentence of plain text; what others wrote in it is on one line."""
    write = _SENTENCES.get(kind)
    others = (part.sentence(kind, detail) for part in (domain_texts, endpoint_texts))
    return _line(write(detail) if write else next(filter(None, others), kind))


def mail(kind: str, detail: Detail, *, brand: str, panel_url: str) -> Mail:
    title = TITLES.get(kind, kind)
    account = f" ({_line(detail['account'])})" if detail.get("account") else ""
    paragraphs = [sentence(kind, detail), ADVICE.get(kind, "")]
    about, page = PAGES.get(kind, ("money", "billing"))
    where = f"{panel_url}/{page}"
    footer = (
        f"{brand} wrote this because something about the account's {about} has changed."
        " You can switch these mails off in the panel, under Billing."
    )
    text = "\n\n".join([*filter(None, paragraphs), where, f"-- \n{footer}"]) + "\n"
    body = "".join(f"<p>{html.escape(p)}</p>\n" for p in paragraphs if p)
    link = html.escape(where)
    return Mail(
        subject=_line(f"{brand}: {title}{account}"),
        text=text,
        html=f"<!doctype html>\n<html><body>\n{body}"
        f'<p><a href="{link}">{link}</a></p>\n<p><small>{html.escape(footer)}</small></p>\n'
        "</body></html>\n",
    )


def _low(detail: Detail) -> str:
    return f"The balance is low: {_money(detail, 'available')} left{_lasts(detail)}."


def _exhausted(detail: Detail) -> str:
    return f"The balance does not pay for another message: {_money(detail, 'available')} left."


def _restored(detail: Detail) -> str:
    return f"The balance pays for mail again: {_money(detail, 'available')}{_lasts(detail)}."


def _paid(detail: Detail) -> str:
    how = "An automatic top-up" if detail.get("automatic") else "A deposit"
    return f"{how} of {_money(detail, 'amount')} was credited{_reference(detail)}."


def _reversed(detail: Detail) -> str:
    why = f" ({detail['reason']})" if detail.get("reason") else ""
    return f"A deposit of {_money(detail, 'amount')} was taken back{_reference(detail)}{why}."


def _topup_failed(detail: Detail) -> str:
    why = f": {str(detail['reason']).rstrip('.')}" if detail.get("reason") else ""
    off = "; automatic top-up is now off" if detail.get("switched_off") else ""
    return f"The card could not be charged {_money(detail, 'amount')}{why}{off}."


def _invoice(detail: Detail) -> str:
    period = f" for {detail['period']}" if detail.get("period") else ""
    return f"Invoice {detail.get('number', '')}{period} says {_money(detail, 'total')}."


def _cap(detail: Detail) -> str:
    whose = f"of the credential {detail['credential']}" if detail.get("credential") else "of a day"
    day = f" on {detail['day']}" if detail.get("day") else ""
    return f"The spending cap {whose}, {_money(detail, 'cap')}, was reached{day}."


_SENTENCES = {
    "balance.low": _low,
    "balance.exhausted": _exhausted,
    "balance.restored": _restored,
    "deposit.paid": _paid,
    "deposit.reversed": _reversed,
    "topup.failed": _topup_failed,
    "invoice.issued": _invoice,
    "cap.reached": _cap,
}


def _money(detail: Detail, name: str) -> str:
    if not isinstance(detail.get(name), int):
        return "an amount"
    return format_amount(detail[name], str(detail.get("currency") or "")).rstrip()


def _lasts(detail: Detail) -> str:
    count, days = detail.get("messages_left"), detail.get("days_left")
    if not isinstance(count, int):
        return ""
    text = f", about {count:,} message{'' if count == 1 else 's'}"
    if isinstance(days, int | float):
        text += f", {_days(days)} at the last 7 days' use"
    return text


def _days(days: float) -> str:
    if days < 1:
        return "less than a day"
    return f"about {days:,.0f} day{'' if round(days) == 1 else 's'}"


def _reference(detail: Detail) -> str:
    return f" (reference {detail['reference']})" if detail.get("reference") else ""


def _line(text: object) -> str:
    """On one line, without what could begin another header field or hide behind the rest."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:500].strip()
