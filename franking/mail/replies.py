"""Every text that the product itself says on the wire.

One `Entry` per refusal: its code (RFC 5321), enhanced code (RFC 3463), text, and, for the public
page that the reply's URL opens (`/e/<key>`), what causes it and how to fix it.  Replies of the
policy service are prefixed by Postfix (`<rcpt>: Recipient address rejected: …`), replies of the
milter reach the client as they stand.  There is always text after an enhanced code: without it
smtpd 3.7.11 reads past its buffer (CVE-2026-43964).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST = 480  # octets of one reply line, well below RFC 5321's 512 and libmilter's 980

# The reason inside Postfix's `535 5.7.8 Error: authentication failed: <reason>`.
AUTH_FAILED = "invalid SMTP username or API key"
AUTH_REVOKED = "this API key was revoked"
AUTH_SUSPENDED = "this account is suspended"


@dataclass(frozen=True)
class Entry:
    """A refusal's fixed part; `text` may hold one `{}` for what is particular."""

    key: str
    code: int
    enhanced: str
    text: str
    cause: str
    fix: str


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


_ENTRIES = (
    Entry(
        "authentication_failed", 535, "5.7.8", "authentication failed",
        "The user name or the API key is not one that this service issued, or the key was revoked.",
        "Copy user name and API key again from the panel's Credentials page. The user name is not"
        " your account's e-mail address. If the key was lost or revoked, create a new credential.",
    ),
    Entry(
        "insufficient_balance", 554, "5.7.1", "Insufficient balance",
        "The account's available balance is lower than the price of this message.",
        "Top up the account, then send the message again; nothing was charged for this one.",
    ),
    Entry(
        "authentication_required", 530, "5.7.1", "Authentication required",
        "The client tried to send mail without logging in.",
        "Set the SMTP user name and API key in your application, and turn on TLS: the server offers"
        " AUTH only after STARTTLS, or on the port with implicit TLS.",
    ),
    Entry(
        "account_suspended", 554, "5.7.1", "Account suspended: {}",
        "The operator has suspended sending for this account.",
        "Contact support; the reason stands in the reply and in the panel.",
    ),
    Entry(
        "credential_revoked", 554, "5.7.1", "API key revoked",
        "The API key was revoked while this connection was open.",
        "Use another credential, or create one in the panel.",
    ),
    Entry(
        "from_not_verified", 550, "5.7.1", "From domain {} is not verified for this account",
        "The address in the From header is on a domain that this account has not verified.",
        "Have the domain added to your account and publish its DNS records, or send from an address"
        " on a domain that is already verified. Subdomains are domains of their own.",
    ),
    Entry(
        "from_invalid", 550, "5.6.0", "From header refused: {}",
        "A message must have exactly one From header with exactly one plain address.",
        "Send one From header like `Shop <orders@example.com>`: one address, no group, no comment,"
        " no quoted local part.",
    ),
    Entry(
        "sender_invalid", 553, "5.1.7", "Sender address refused: {}",
        "The envelope sender (MAIL FROM) is not a plain address.",
        "Use an address like `bounces@example.com` without quotes, routes or control characters.",
    ),
    Entry(
        "recipient_invalid", 501, "5.1.3", "Recipient address refused: {}",
        "The recipient address is not a plain address.",
        "Use an address like `name@example.com` without quotes, routes or control characters.",
    ),
    Entry(
        "data_invalid", 550, "5.6.0", "The given data was invalid. {}",
        "The message breaks one or more content rules; the reply lists them all.",
        "Correct each point that the reply names, then send the message again.",
    ),
    Entry(
        "too_large", 552, "5.3.4", "Message size exceeds {}",
        "The message is larger than this service accepts.",
        "Send large files as links. Attachments grow by a third when encoded for mail.",
    ),
    Entry(
        "too_many_headers", 552, "5.3.4", "Message header exceeds {}",
        "The message has more header fields, or larger ones, than this service accepts.",
        "Look for a loop in the code that adds headers, or for data put into headers that belongs"
        " into the body.",
    ),
    Entry(
        "temporary", 451, "4.3.0", "Temporary service problem, try again",
        "The service could not look something up. The message was neither accepted nor charged.",
        "Nothing to do: every mail program tries again by itself. If it lasts, contact support.",
    ),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.key: entry for entry in _ENTRIES}


def _reply(key: str, particular: str = "") -> Reply:
    entry = CATALOGUE[key]
    return Reply(key, entry.code, entry.enhanced, entry.text.replace("{}", particular))


def authentication_failed(reason: str) -> Reply:
    """The 535 as Postfix says it around our reason."""
    entry = CATALOGUE["authentication_failed"]
    return Reply(entry.key, entry.code, entry.enhanced, f"Error: {entry.text}: {reason}")


def insufficient_balance() -> Reply:
    return _reply("insufficient_balance")


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


def recipient_invalid(why: str) -> Reply:
    return _reply("recipient_invalid", why)


def data_invalid(errors: Iterable[str]) -> Reply:
    """All violations of one message in one reply, joined by commas."""
    return _reply("data_invalid", ",".join(errors))


def too_large(limit: int) -> Reply:
    return _reply("too_large", f"{limit} bytes")


def too_many_headers(limit: str) -> Reply:
    """`limit` with its unit: "1000 fields" or "262144 bytes"."""
    return _reply("too_many_headers", limit)


def temporary() -> Reply:
    return _reply("temporary")
