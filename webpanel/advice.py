"""What to do about a refusal or a bounce, in a sentence.

Our own refusals are explained by the catalogue.  A remote server's are explained by their category,
and those of old events, which have none, by their enhanced status code (RFC 3463 §3), subject and
detail; the class digit was read by whoever calls.
"""

from __future__ import annotations

from franking.mail.auth_reasons import AUTH_REASONS, auth_reason
from franking.mail.catalogue import CATALOGUE, Entry
from franking.mail.models import Event

LOGIN = "authentication_failed"  # explained reason by reason
_REMOTE = {
    "1.1": "This address does not exist. Correct it, or remove it from your list.",
    "1.2": "This domain does not take mail. Check its spelling.",
    "1.10": "This domain takes no mail at all. Check its spelling.",
    "2.1": "This mailbox is disabled. Remove it from your list.",
    "2.2": "This mailbox is full. Try again in some days.",
    "3.4": "The message is too large for this recipient. Send large files as links.",
    "4.4": "No mail server was found or reached for this domain. Check its spelling.",
    "4.7": "The recipient's server did not take the message in time. Try again later.",
    "7.1": "The recipient's server refuses this mail by its own rules; its reply says which.",
}
_CATEGORIES = {
    "invalid_recipient": _REMOTE["1.1"],
    "bad_domain": _REMOTE["1.2"],
    "inactive_mailbox": _REMOTE["2.1"],
    "mailbox_full": _REMOTE["2.2"],
    "too_large": _REMOTE["3.4"],
    "expired": _REMOTE["4.7"],
    "policy": _REMOTE["7.1"],
    "sender_rejected": "The recipient's server does not like the sender's address or its domain."
    " Look at the domain's page: every record there should be green.",
    "auth_policy": "The recipient's server does not believe that this mail comes from your domain."
    " Look at the domain's page: every record there should be green.",
    "spam_block": "The recipient's server blocks where this mail comes from; its reply says whether"
    " it means your domain, a link, or our address. We are told when it is ours.",
    "spam_content": "The recipient's server takes this for spam. Look at what the message says and"
    " links to, and at who has asked for it.",
    "virus": "The recipient's server has found something harmful in this message. Look at its"
    " attachments.",
    "relay_denied": "The server that this domain names does not take its mail. Its owner has to"
    " correct that.",
    "routing_loop": "Mail to this address goes in circles at the recipient's. Its owner has to"
    " correct that.",
    "protocol": "The recipient's server cannot handle this message; its reply says what it is"
    " about.",
}
_OTHERWISE = "The recipient's server refused for good; its exact reply says why."


def explanation(event: Event) -> Entry | None:
    """The catalogue's entry of a refusal that was ours."""
    return CATALOGUE.get(str(event.detail.get("reply_key")))


def reason(event: Event) -> str | None:
    """Of a failed login: the key of its reason, where its page says more."""
    return auth_reason(event.reply or "") if event.detail.get("reply_key") == LOGIN else None


def advice(event: Event) -> str:
    entry = explanation(event)
    if entry is not None:
        key = reason(event)
        return AUTH_REASONS[key].fix if key else entry.fix
    if event.kind == "rejected":
        return "The reply says what to correct; nothing was charged."
    if event.category in _CATEGORIES:
        return _CATEGORIES[event.category]
    _, _, detail = (event.enhanced_code or "").partition(".")
    return _REMOTE.get(detail, _OTHERWISE)
