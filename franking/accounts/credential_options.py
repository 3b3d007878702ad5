"""What a credential may be restricted to, and the check of a customer's wishes.

A credential narrows what its account's plan allows.  A value that is wider is refused when it is
asked for, because it would have no effect (`rules.effective` takes the stricter of both) and its
owner would wonder why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import networks
from franking.accounts.models import Account
from franking.accounts.rules import Narrowing, Rules, Window, rules_of
from franking.accounts.rules import plain as plain_rules
from franking.domains.models import Domain
from franking.domains.names import to_ascii
from franking.money.amounts import plain_amount
from franking.reasons import Invalid

MOST_NETWORKS = 100
MOST_DOMAINS = 100
_STREAM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_UPPER_LIMITS = (
    "max_message_bytes",
    "max_recipients",
    "max_messages_per_connection",
    "max_connections",
    "daily_quota",
)


@dataclass(frozen=True)
class Options:
    """All that can be changed of a credential.  An empty list restricts nothing.

    `source_networks` are CIDR; `sending_domains` are domains of the account, and what is below
    them goes with them.  From `expires_at` on the credential is refused.
    """

    stream: str = "default"
    expires_at: datetime | None = None
    source_networks: tuple[str, ...] = ()
    sending_domains: tuple[str, ...] = ()
    allow_plaintext: bool = False
    rules: Narrowing = field(default_factory=Narrowing)


def plain(options: Options) -> dict[str, Any]:
    """For JSON and the audit trail."""
    return {
        "stream": options.stream,
        "expires_at": options.expires_at.isoformat() if options.expires_at else None,
        "source_networks": list(options.source_networks),
        "sending_domains": list(options.sending_domains),
        "allow_plaintext": options.allow_plaintext,
        "rules": plain_rules(options.rules),
    }


def checked(session: Session, account: Account, options: Options) -> Options:
    """The options in the form in which they are stored; raises Invalid with a sentence.

    The expiry is checked by who knows what it was before.
    """
    check_stream(options.stream)
    listed = _networks(options.source_networks)
    if options.allow_plaintext and not listed:
        raise Invalid.of(
            "source_networks",
            "a credential that may be used without encryption needs a list of source networks",
        )
    too_wide = list(wider(rules_of(account.plan.rules), options.rules))
    if too_wide:
        sentences = (f"{name.partition('.')[0]}: {text}" for name, text in too_wide)
        raise Invalid("; ".join(sentences), dict(too_wide))
    return replace(
        options,
        source_networks=listed,
        sending_domains=_own_domains(session, account, options.sending_domains),
    )


def check_stream(name: str) -> None:
    """Raises Invalid when it is no name of a stream."""
    if not _STREAM.fullmatch(name):
        raise Invalid.of(
            "stream",
            f"{name!r} is no name of a stream: up to 32 lower-case letters, digits and hyphens",
        )


def _networks(wanted: tuple[str, ...]) -> tuple[str, ...]:
    try:
        listed = _each_once(networks.network(text) for text in wanted)
    except Invalid as reason:
        raise Invalid.of("source_networks", str(reason)) from None
    if len(listed) > MOST_NETWORKS:
        raise Invalid.of(
            "source_networks", f"a credential has at most {MOST_NETWORKS} source networks"
        )
    return listed


def _own_domains(session: Session, account: Account, wanted: tuple[str, ...]) -> tuple[str, ...]:
    names = _each_once(to_ascii(name) for name in wanted)
    if len(names) > MOST_DOMAINS:
        raise Invalid.of(
            "sending_domains", f"a credential has at most {MOST_DOMAINS} sending domains"
        )
    own = set(
        session.scalars(
            select(Domain.name).where(
                Domain.account_id == account.id,
                Domain.name.in_(names),
                Domain.removed_at.is_(None),
            )
        )
    )
    if foreign := [name for name in names if name not in own]:
        raise Invalid.of(
            "sending_domains", f"{', '.join(foreign)}: not among the domains of this account"
        )
    return names


def _each_once(values: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def wider(plan: Rules, own: Narrowing) -> Iterator[tuple[str, str]]:
    """Each rule of a credential that allows more than the plan does, and a sentence about it.

    A window goes by its unit: `windows.minute`.
    """
    if plan.subject_required and own.subject_required is False:
        yield "subject_required", "the plan requires a subject"
    if not plan.mail_clients_allowed and own.mail_clients_allowed:
        yield "mail_clients_allowed", "the plan does not allow mail clients"
    yield from _wider_attachments(plan, own)
    for name in _UPPER_LIMITS:
        most, wanted = getattr(plan, name), getattr(own, name)
        if most is not None and wanted is not None and wanted > most:
            yield name, f"{wanted} is more than the plan's {most}"
    if plan.daily_spend is not None and (own.daily_spend or 0) > plan.daily_spend:
        wanted, most = plain_amount(own.daily_spend or 0), plain_amount(plan.daily_spend)
        yield "daily_spend", f"{wanted} is more than the plan's {most}"
    if own.custom_headers is not None:
        strictness = ("keep", "allowlist", "drop")
        if strictness.index(own.custom_headers) < strictness.index(plan.custom_headers):
            yield "custom_headers", f"the plan says {plan.custom_headers}, which is stricter"
    for window in own.windows:
        narrowed = [most for most in plan.windows if _holds_for(most, window)]
        if narrowed and window.most > (least := min(narrowed, key=lambda w: w.most)).most:
            yield f"windows.{window.per}", f"{window} is more than the plan's {least}"


def _wider_attachments(plan: Rules, own: Narrowing) -> Iterator[tuple[str, str]]:
    for name in own.attachments_allowed:
        if plan.attachments_allowed and name not in plan.attachments_allowed:
            allowed = ", ".join(plan.attachments_allowed)
            yield "attachments_allowed", f"the plan allows {allowed} only, not {name}"
        elif name in plan.attachments_denied:
            yield "attachments_allowed", f"the plan denies {name}"


def _holds_for(plan: Window, own: Window) -> bool:
    """Whether what the credential's window counts can never be more than the plan's allows.

    One credential may be used from many addresses, so the limit of one says nothing about it.
    """
    alike = (plan.per, plan.counts) == (own.per, own.counts)
    return alike and (plan.by != "address" or own.by == "address")
