"""The sentences of notices about sending domains; see `franking.notices.texts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Detail = Mapping[str, Any]

TITLES: dict[str, str] = {
    "domain.verified": "Domain verified",
    "domain.failing": "DNS records of a domain are wrong",
    "domain.failed": "Domain suspended",
    "domain.restored": "Domain works again",
    "domain.lost": "Domain now belongs to another account",
    "dkim.publish": "Please publish a new DKIM record",
    "dkim.rotated": "DKIM key replaced",
    "dmarc.new_source": "Somebody new sends in the name of a domain",
    "dmarc.ready": "A domain is ready for a stricter DMARC policy",
    "delivery.misconfigured": "Mail of a domain is refused for its DNS records",
}

ADVICE: dict[str, str] = {
    "domain.verified": "Mail from it is accepted from now on.",
    "domain.failing": "Correct the records that the domain's page marks, before mail from it is"
    " refused.",
    "domain.failed": "Mail from it is refused until its records are right again.",
    "domain.restored": "Nothing needs to be done.",
    "domain.lost": "If you do not expect this, look at who can change the domain's DNS.",
    "dkim.publish": "The domain's page has the exact record. Leave the present one where it is:"
    " we use the new one as soon as every resolver sees it, and say when the old one may go.",
    "dkim.rotated": "Nothing needs to be done now.",
    "dmarc.new_source": "Look at it on the domain's DMARC page and say whether it is yours.",
    "dmarc.ready": "The domain's DMARC page has the exact record to publish.",
    "delivery.misconfigured": "Look at the domain's page: every record there should be green. The"
    " message's page has the whole reply.",
}


def sentence(kind: str, detail: Detail) -> str | None:
    """None for a kind that is not about domains."""
    write = _SENTENCES.get(kind)
    return write(detail) if write else None


def _verified(detail: Detail) -> str:
    return f"The DNS records of {_domain(detail)} are right."


def _failing(detail: Detail) -> str:
    days = _days(detail, "days_left")
    until = f" It will be suspended in {days}." if days else ""
    return f"Required DNS records of {_domain(detail)} have been wrong for days.{until}"


def _failed(detail: Detail) -> str:
    return f"Mail from {_domain(detail)} is refused now: its DNS records were wrong for too long."


def _restored(detail: Detail) -> str:
    return f"The DNS records of {_domain(detail)} are right again."


def _lost(detail: Detail) -> str:
    return (
        f"Another account has proved that it controls {_domain(detail)},"
        " and your own records were gone."
    )


def _publish(detail: Detail) -> str:
    by = f" before {detail['by']}" if detail.get("by") else ""
    name = f" {detail['record']}" if detail.get("record") else ""
    return f"The DKIM key of {_domain(detail)} is due: publish the new record{name}{by}."


def _rotated(detail: Detail) -> str:
    until = (
        f"; keep the old record until {detail['keep_until']}" if detail.get("keep_until") else ""
    )
    now = f" with {detail['selector']}" if detail.get("selector") else " with a new key"
    return f"Mail from {_domain(detail)} is signed{now}{until}."


def _new_source(detail: Detail) -> str:
    who = detail.get("source") or "an unknown server"
    return f"Mail in the name of {_domain(detail)} also comes from {who}."


def _ready(detail: Detail) -> str:
    step = f": p={detail['policy']}" if detail.get("policy") else ""
    return f"Nearly all mail of {_domain(detail)} is aligned; the next DMARC policy can come{step}."


def _misconfigured(detail: Detail) -> str:
    reply = f": {detail['reply']}" if detail.get("reply") else "."
    what = "sender" if detail.get("category") == "sender_rejected" else "authentication"
    return f"A receiver has refused mail from {_domain(detail)} because of its {what}{reply}"


_SENTENCES = {
    "domain.verified": _verified,
    "domain.failing": _failing,
    "domain.failed": _failed,
    "domain.restored": _restored,
    "domain.lost": _lost,
    "dkim.publish": _publish,
    "dkim.rotated": _rotated,
    "dmarc.new_source": _new_source,
    "dmarc.ready": _ready,
    "delivery.misconfigured": _misconfigured,
}


def _domain(detail: Detail) -> str:
    return str(detail.get("domain") or "a domain")


def _days(detail: Detail, name: str) -> str:
    days = detail.get(name)
    return f"{days} day{'' if days == 1 else 's'}" if isinstance(days, int) else ""
