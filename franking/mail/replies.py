"""Every text that the product itself says on the wire.

The refusals themselves are in `franking.mail.catalogue`; here is a function for each that the
product says.  Replies of the policy service are prefixed by Postfix (`<rcpt>: Recipient address
rejected: …`), replies of the milter reach the client as they stand.  There is always text after an
enhanced code: without it smtpd 3.7.11 reads past its buffer (CVE-2026-43964).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from franking.mail.auth_reasons import AUTH_REASONS
from franking.mail.catalogue import CATALOGUE
from franking.reasons import CapReached, InsufficientBalance

LONGEST = 480  # octets of one reply line, well below RFC 5321's 512 and libmilter's 980

# The reason inside Postfix's `535 5.7.8 Error: authentication failed: <reason>`.
AUTH_FAILED = AUTH_REASONS["failed"].text
AUTH_EMAIL = AUTH_REASONS["email"].text
AUTH_REVOKED = AUTH_REASONS["revoked"].text
AUTH_SUSPENDED = AUTH_REASONS["suspended"].text
AUTH_EXPIRED = AUTH_REASONS["expired"].text
AUTH_ROTATED = AUTH_REASONS["rotated"].text
AUTH_ADDRESS = AUTH_REASONS["address"].text
AUTH_PLAINTEXT = AUTH_REASONS["plaintext"].text


@dataclass(frozen=True)
class Reply:
    """One refusal, ready to be said."""

    key: str
    code: int
    enhanced: str
    text: str

    @property
    def temporary(self) -> bool:
        return self.code < 500

    def text_with_url(self, panel_url: str) -> str:
        """The text and the address of the page that explains it; ASCII, one line, bounded."""
        url = f" {panel_url.rstrip('/')}/e/{self.key}"
        return one_line(self.text, LONGEST - len(url) - 12) + url

    def line(self, panel_url: str) -> str:
        """The whole reply: `554 5.7.1 Insufficient balance https://panel/e/…`."""
        return f"{self.code} {self.enhanced} {self.text_with_url(panel_url)}"


def one_line(text: str, limit: int) -> str:
    """Printable ASCII on one line, at most `limit` characters; the rest becomes `?`."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def _reply(key: str, particular: str = "") -> Reply:
    entry = CATALOGUE[key]
    return Reply(key, entry.code, entry.enhanced, entry.text.replace("{}", particular))


def authentication_failed(reason: str) -> Reply:
    """The 535 as Postfix says it around our reason."""
    entry = CATALOGUE["authentication_failed"]
    return Reply(entry.key, entry.code, entry.enhanced, f"Error: {entry.text}: {reason}")


def login_throttled() -> Reply:
    """The 454 that Postfix says when policyd closes the connection."""
    return _reply("login_throttled")


def insufficient_balance(on_empty: str = "reject") -> Reply:
    """554; 450 where the plan defers, or holds and enough mail waits already: the client sends
    again when there is money."""
    reply = _reply("insufficient_balance")
    temporary = on_empty in {"defer", "hold"}
    return replace(reply, code=450, enhanced="4.7.1") if temporary else reply


def unpaid(why: InsufficientBalance | CapReached, on_empty: str) -> Reply:
    """Why there is no money for a message, on a plan that does this when a balance is empty."""
    if isinstance(why, CapReached):
        return _reply("spending_cap", why.whose)
    return insufficient_balance(on_empty)


def mechanism_not_offered(offered: Iterable[str]) -> str:
    """Reason of a 535."""
    return AUTH_REASONS["mechanism"].text.replace("{}", " or ".join(offered))


def authentication_required() -> Reply:
    return _reply("authentication_required")


def account_suspended(reason: str | None) -> Reply:
    return _reply("account_suspended", reason or "contact support")


def credential_revoked() -> Reply:
    return _reply("credential_revoked")


def from_not_verified(domain: str) -> Reply:
    return _reply("from_not_verified", domain)


def from_invalid(why: str) -> Reply:
    return _reply("from_invalid", why)


def sender_invalid(why: str) -> Reply:
    return _reply("sender_invalid", why)


def sender_not_verified(domain: str) -> Reply:
    return _reply("sender_not_verified", domain)


def domain_not_for_key(domain: str) -> Reply:
    return _reply("domain_not_for_key", domain)


def recipient_suppressed(reason: str, on: date) -> Reply:
    return _reply("recipient_suppressed", f"{reason} {on.isoformat()}")


def too_many_recipients(limit: int) -> Reply:
    return _reply("too_many_recipients", str(limit))


def rate_limited(limit: str, seconds: int, *, permanent: bool = False) -> Reply:
    """`limit` such as "100 messages per minute"; `seconds` until the next window opens."""
    key = "rate_refused" if permanent else "rate_limited"
    return _reply(key, f"{limit}), retry in {seconds} s")


def limit_too_small(limit: str) -> Reply:
    """The message alone is more than `limit`: waiting does not help."""
    return _reply("rate_refused", f"{limit})")


def quota_exceeded(limit: int, seconds: int) -> Reply:
    return _reply("quota_exceeded", f"{limit} per day), retry in {seconds} s")


def connection_messages() -> Reply:
    return _reply("connection_messages")


def too_many_connections(limit: int) -> Reply:
    return _reply("too_many_connections", str(limit))


def relaying_denied() -> Reply:
    return _reply("relaying_denied")


def idempotency_conflict() -> Reply:
    return _reply("idempotency_conflict")


def idempotency_pending() -> Reply:
    return _reply("idempotency_pending")


def recipient_invalid(why: str) -> Reply:
    return _reply("recipient_invalid", why)


def no_such_mailbox() -> Reply:
    """To other servers: the domain is ours, the address is nobody's."""
    return _reply("no_such_mailbox")


def mail_loop() -> Reply:
    return _reply("mail_loop")


def data_invalid(errors: Iterable[str], code: int = 550) -> Reply:
    """All violations of one message in one reply, joined by commas; 450 in some profiles."""
    reply = _reply("data_invalid", ",".join(errors))
    return reply if code == 550 else replace(reply, code=code, enhanced="4.6.0")


def too_large(limit: int) -> Reply:
    return _reply("too_large", f"{limit} bytes")


def too_many_headers(limit: str) -> Reply:
    """`limit` with its unit: "1000 fields" or "262144 bytes"."""
    return _reply("too_many_headers", limit)


def temporary() -> Reply:
    return _reply("temporary")
