"""The refusals, one by one: code, text, cause and fix.

Code (RFC 5321), enhanced code (RFC 3463) and text are what the client reads; cause and fix are the
public page behind the reply's URL (`/e/<key>`) and the panel's error reference.  The first three
are those that most applications meet first; `GROUPS` says where the others stand in the reference.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A refusal's fixed part; `text` may hold one `{}` for what is particular."""

    key: str
    code: int
    enhanced: str
    text: str
    cause: str
    fix: str

    @property
    def title(self) -> str:
        """The text for people, with … for what is particular."""
        text = self.text.replace("{}", "…")
        return f"{text})" if "(" in text and ")" not in text else text


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
        "relaying_denied", 421, "4.3.2", "Relaying temporarily denied",
        "This relay node is being taken out of service for a while, or has more to do than it can:"
        " outbound nodes are throttling.",
        "Retry in a few seconds. The service's host name leads to the other nodes, and most"
        " software tries again by itself.",
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
        "The address in the From header is on a domain that this account has not verified, or that"
        " was suspended because its DNS records have been missing or wrong for days.",
        "Have the domain added to your account and publish its DNS records, or send from an address"
        " on a domain that is already verified. Subdomains are domains of"
        " their own, unless their parent's owner has allowed them. For a suspended one, put right"
        " what its page marks, and check it there: mail is taken again as soon as they are right.",
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
        "sender_not_verified", 553, "5.7.1", "Sender domain {} is not verified for this account",
        "The envelope sender (MAIL FROM) is on a domain that this account has not verified.",
        "Use an envelope sender on a verified domain, or leave it to your mail library, which takes"
        " the From address.",
    ),
    Entry(
        "domain_not_for_key", 550, "5.7.1", "From domain {} is not allowed for this API key",
        "The API key is limited to certain sending domains, and this is none of them.",
        "Send from a domain on the key's list, add the domain to the list in the panel, or use"
        " another key.",
    ),
    Entry(
        "recipient_suppressed", 550, "5.7.1", "Recipient suppressed ({})",
        "The address is on the suppression list: earlier mail bounced, its owner complained or"
        " unsubscribed, or somebody of your account put it there.",
        "Leave the address out. If you know that it works again, have it removed from the"
        " suppression list. The other recipients of the message are not affected.",
    ),
    Entry(
        "too_many_recipients", 452, "4.5.3", "Too many recipients, at most {} per message",
        "The message has more recipients than the plan or the API key allows.",
        "Send it in several messages; mail programs do so by themselves when they read this reply.",
    ),
    Entry(
        "rate_limited", 450, "4.7.1", "Rate limit exceeded ({}",
        "The account, the API key or the source address has sent as much as its limit allows in"
        " this second, minute, hour, day or month. Only accepted mail counts.",
        "Nothing to do: mail programs try again by themselves. Spread large mailings over time, or"
        " ask for a higher limit.",
    ),
    Entry(
        "rate_refused", 550, "5.7.1", "Rate limit exceeded ({}",
        "The account, the API key or the source address has sent as much as its limit allows in"
        " this second, minute, hour, day or month, and the plan refuses what exceeds it.",
        "Send again when the time named in the reply is over, or ask for a higher limit.",
    ),
    Entry(
        "quota_exceeded", 452, "4.5.3", "Daily quota exceeded ({}",
        "The account or the API key has sent as many messages today (UTC) as its plan allows.",
        "Mail programs try again by themselves; the quota begins anew at midnight UTC. Choose a"
        " larger plan if you need more.",
    ),
    Entry(
        "spending_cap", 450, "4.7.1", "Daily spending cap of this {} reached",
        "Somebody of your account has set the most that its messages, or those of this API key,"
        " may cost in one day (UTC). Nothing was charged for this one.",
        "Mail programs try again by themselves; spending begins anew at midnight UTC. Look for a"
        " program that sends too much, or raise the cap on the Billing page or with the key.",
    ),
    Entry(
        "connection_messages", 421, "4.7.0", "Too many messages on this connection, reconnect",
        "The connection has carried as many messages as the plan allows on one.",
        "Nothing to do for most software: it connects again. In a connection pool, set the"
        " messages per connection (Nodemailer: maxMessages) to the plan's number.",
    ),
    Entry(
        "too_many_connections", 421, "4.7.0", "Too many connections for this API key, at most {}",
        "More connections are open at the same time than the plan or the API key allows.",
        "Close connections that are not in use, or lower the size of the connection pool"
        " (Nodemailer: maxConnections).",
    ),
    Entry(
        "idempotency_conflict", 554, "5.6.0",
        "X-Idempotency-Key was used for a message with other content",
        "Another message with this idempotency key was accepted in the last 24 hours, and it had"
        " another sender, other recipients or another content.",
        "Use a new key for each message, and the same key only to repeat the very same one.",
    ),
    Entry(
        "idempotency_pending", 451, "4.3.0", "The first message with this key is still in progress",
        "The message is the repeat of one that was accepted a moment ago and whose fate is not"
        " settled yet.",
        "Nothing to do: the next attempt will be answered with the first message's success.",
    ),
    Entry(
        "login_throttled", 454, "4.7.0", "Temporary authentication failure",
        "There were too many failed logins from your address or for this account. The server"
        " closes the question without an answer for a while, whatever the password.",
        "Wait some minutes. Look for a program that still uses an old API key: the panel's"
        " Refused page shows each attempt.",
    ),
    Entry(
        "plaintext_login", 535, "5.7.8", "authentication failed: encryption required for this key",
        "The client logged in without TLS, and the API key is not allowed to.",
        "Turn on TLS in the application (STARTTLS on 587 and 2525, implicit TLS on 465). A device"
        " that cannot: allow it for this key, together with the device's address.",
    ),
    Entry(
        "relay_denied", 554, "5.7.1", "Relay access denied",
        "Port 25 only takes mail for this service itself. It relays nothing.",
        "Use port 587, 465 or 2525 with the SMTP user name and API key.",
    ),
    Entry(
        "tls_required", 530, "5.7.0", "Must issue a STARTTLS command first",
        "The client tried to log in or to send without TLS.",
        "Turn on TLS in the application: STARTTLS on 587 and 2525, implicit TLS on 465.",
    ),
    Entry(
        "no_such_mailbox", 550, "5.1.1", "No such mailbox here",
        "Port 25 takes mail to the service's own mailboxes, and this address is none of them.",
        "Reports about a domain go to the address that the domain's page shows. If the domain was"
        " removed, remove its DMARC record, too, or the address from it.",
    ),
    Entry(
        "mail_loop", 554, "5.4.6", "This message has been here before",
        "A message to one of the service's own mailboxes bears the mark of a mailbox already.",
        "Send the message anew instead of forwarding it with all its header fields.",
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

FIRST = ("authentication_failed", "insufficient_balance", "relaying_denied")
GROUPS: dict[str, tuple[str, ...]] = {
    "Logging in": (
        "authentication_required", "tls_required", "plaintext_login", "login_throttled",
        "relay_denied",
    ),
    "Account and API key": (
        "account_suspended", "credential_revoked", "domain_not_for_key",
    ),
    "Sender": ("from_not_verified", "from_invalid", "sender_not_verified", "sender_invalid"),
    "Recipients": (
        "recipient_suppressed", "recipient_invalid", "too_many_recipients", "no_such_mailbox",
        "mail_loop",
    ),
    "Limits": (
        "rate_limited", "rate_refused", "quota_exceeded", "spending_cap", "connection_messages",
        "too_many_connections",
    ),
    "Content": (
        "data_invalid", "too_large", "too_many_headers", "idempotency_conflict",
        "idempotency_pending",
    ),
    "This service": ("temporary",),
}  # fmt: skip
