"""One message's story as steps to show, oldest first.  Pure: rows in, steps out.

What happened before acceptance (log-in, checks, charge, signatures) is not an event; it is read
off the message and its reservation.  From then on each event is a step with the remote server's
reply, word for word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from franking.accounts.models import Credential
from franking.mail.bounce_classes import CATEGORIES
from franking.mail.models import Event, Message
from franking.money.amounts import format_amount
from franking.money.models import LedgerEntry, Reservation
from franking.money.pricing import INCLUDED
from webpanel.display import colour, seconds

ICONS = {
    "delivered": "check",
    "deferred": "clock",
    "bounced": "x",
    "expired": "x",
    "voided": "ban",
    "held": "clock",
    "released": "send",
    "suppressed": "ban",
    "sandboxed": "check",
    "requeued": "refresh",
    "notified": "mail",
    "complained": "alert-circle",
    "unsubscribed": "mail-off",
}
TITLES = {"complained": "Complaint", "notified": "Notification"}
LATE_BOUNCE = "Bounced after delivery"
GUESSED = "guessed from the words of a report"
PARTS = ("before the queue manager", "in it", "connecting", "transmitting")
CHARGES = {
    "waiting": "Waiting for money: nothing is charged until the balance covers it.",
    "reserved": "Reserved: set aside until Postfix has queued the message.",
    "captured": "Captured: the price was charged.",
    "voided": "Voided: given back, nothing was charged.",
    "unknown": "Unknown: set aside until the operator has looked at it.",
}
CHECKS = (
    "From has one plain address on a domain verified for this account",
    "sender and recipient addresses are well-formed",
    "size and header are within the limits",
)
PAID = "balance covers the price"
REFUNDS = {
    "expired": "It could not be delivered in time.",
    "blocked": "A server refused our address.",
}


@dataclass(frozen=True)
class Step:
    """`facts` are (name, value) pairs; `event` is set for what was recorded; `suppressed` is the
    address that was left out, or is from then on."""

    title: str
    icon: str
    colour: str
    at: datetime | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    points: Sequence[str] = ()
    event: Event | None = None
    suppressed: str | None = None


@dataclass(frozen=True)
class Told:
    """What the story is made from."""

    message: Message
    credential: Credential
    reservation: Reservation | None
    events: Sequence[Event]
    currency: str
    refunds: Sequence[LedgerEntry] = ()
    suppressing: Collection[int] = ()  # the IDs of the events that put somebody on the list


def steps(told: Told) -> list[Step]:
    return list(_steps(told))


def _steps(told: Told) -> Iterator[Step]:
    message = told.message
    yield Step("Logged in", "key", "azure", facts=_login(message, told.credential))
    waits = told.reservation is not None and told.reservation.state == "waiting"
    points = CHECKS if waits else (*CHECKS, PAID)
    yield Step("Checks passed", "shield-check", "azure", points=points)
    yield _signed(message)
    if told.reservation is not None:
        yield _charge(told.reservation, told.currency)
    queued = [("Queue ID", message.queue_id), ("Recipients", str(message.recipient_count))]
    yield Step("Accepted", "send", "azure", message.accepted_at, queued)
    yield from (_happened(e, told.suppressing) for e in told.events if e.kind != "accepted")
    yield from (_refund(entry, told.currency) for entry in told.refunds)


def _present(*pairs: tuple[str, str | None]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if value]


def _login(message: Message, credential: Credential) -> list[tuple[str, str]]:
    return _present(
        ("Credential", f"{credential.name} ({credential.username})"),
        ("Method", message.auth_method),
        ("Encryption", message.tls),
        ("Client address", message.client_ip),
        ("HELO name", message.client_helo),
    )


def _signed(message: Message) -> Step:
    signatures = [
        (f"DKIM {s.get('algorithm', '')}".strip(), f"d={s.get('domain')} s={s.get('selector')}")
        for s in message.signatures
    ]
    title = "Signed" if signatures else "Not signed"
    return Step(title, "lock", "azure" if signatures else "orange", facts=signatures)


def _charge(reservation: Reservation, currency: str) -> Step:
    facts = _present(
        ("Amount", format_amount(reservation.amount, currency)),
        ("Price", _price(reservation, currency)),
        ("State", CHARGES[reservation.state]),
        ("Evidence", reservation.evidence),
    )
    return Step(
        "Charge", "credit-card", colour(reservation.state), reservation.reserved_at, facts=facts
    )


def _price(reservation: Reservation, currency: str) -> str:
    """`0.001 EUR (tier 1)`; `1 × 0.001 EUR (tier 1) + 2 × 0.0008 EUR (tier 2)`."""
    whole = [[reservation.units, reservation.tier, reservation.unit_price]]
    parts = reservation.parts or whole
    return " + ".join(
        (f"{units:,} × " if reservation.units > 1 else "")
        + (
            f"{format_amount(price, currency)} (tier {tier})"
            if tier != INCLUDED
            else "included in the plan"
        )
        for units, tier, price in parts
    )


def _refund(entry: LedgerEntry, currency: str) -> Step:
    facts = _present(
        ("Amount", format_amount(entry.amount, currency)),
        ("Reason", REFUNDS.get(entry.note or "", entry.note)),
    )
    return Step("Refund", "credit-card", "green", entry.at, facts=facts)


def _happened(event: Event, suppressing: Collection[int]) -> Step:
    kind = event.kind
    listed = kind == "suppressed" or event.id in suppressing
    return Step(
        _title(event),
        ICONS.get(kind, "info-circle"),
        colour(kind),
        event.at,
        _facts(event),
        event=event,
        suppressed=event.recipient if listed else None,
    )


def _title(event: Event) -> str:
    if event.kind == "bounced" and not event.attempt:
        return LATE_BOUNCE
    return TITLES.get(event.kind, event.kind.capitalize())


def _facts(event: Event) -> list[tuple[str, str]]:
    detail = {name: str(value) for name, value in event.detail.items() if value is not None}
    category = CATEGORIES.get(event.category or "")
    host = " ".join(
        part for part in (event.remote_host, event.remote_ip and f"[{event.remote_ip}]") if part
    )
    numbered = event.attempt and event.kind != "notified"
    return _present(
        ("Recipient", event.recipient),
        ("Attempt", str(event.attempt) if numbered else None),
        ("Remote server", host),
        ("Failed address", detail.get("reported_as")),
        ("Reported by", detail.get("reported_by")),
        ("Certainty", GUESSED if event.detail.get("guessed") else None),
        ("Why", f"{category.name.replace('_', ' ')} ({category.kind})" if category else None),
        ("Kind", detail.get("feedback_type") or detail.get("kind")),
        ("Sent to", detail.get("to")),
        ("New queue ID", detail.get("requeued_as")),
        ("By", detail.get("by")),
        ("Encryption", detail.get("tls")),
        ("After", None if event.delay is None else seconds(event.delay)),
        ("Of it", _delays(event.detail.get("delays"))),
    )


def _delays(parts: object) -> str | None:
    """`9.0 s before the queue manager, 0.2 s in it, 0.1 s connecting, 0.2 s transmitting`"""
    if not isinstance(parts, list) or len(parts) != len(PARTS):
        return None
    return ", ".join(
        f"{seconds(float(part))} {name}" for part, name in zip(parts, PARTS, strict=True)
    )
