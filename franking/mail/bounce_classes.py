"""Why a delivery failed: from enhanced code, SMTP code and text to a category.

The codes decide (RFC 3463, RFC 5248's registry); text does only where codes are known to lie: 5.7.x
and 5.0.0 are said of everything, and Postfix writes 5.0.0 itself where a server gave no enhanced
code (smtp/smtp_chat.c).  The first matching rule wins.

`ours` tells a refusal of the relay's own address from one of the sender, the content or the
recipient: it is what a plan may refund (`franking.money.refunds`).  Only what a remote server said
can be that, and when its words fit both, it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["hard", "soft", "block", "config", "ignored", "unknown"]
Suppress = Literal["never", "at once", "repeated"]


@dataclass(frozen=True)
class Category:
    """`kind` block: of the message or of where it came from; config: somebody has to change
    something.  `suppress`: whether the recipient must not be written to any more."""

    name: str
    kind: Kind
    suppress: Suppress = "never"


CATEGORIES = {
    category.name: category
    for category in (
        Category("invalid_recipient", "hard", "at once"),
        Category("bad_domain", "hard", "at once"),
        Category("inactive_mailbox", "hard", "repeated"),
        Category("mailbox_full", "soft", "repeated"),
        Category("too_large", "soft"),
        Category("sender_rejected", "config"),
        Category("auth_policy", "config"),
        Category("spam_block", "block"),
        Category("spam_content", "block"),
        Category("virus", "block"),
        Category("policy", "block"),
        Category("rate_limited", "soft"),
        Category("greylisted", "soft"),
        Category("dns_failure", "soft"),
        Category("connect_failure", "soft"),
        Category("routing_loop", "config"),
        Category("expired", "soft"),
        Category("protocol", "config"),
        Category("relay_denied", "config"),
        Category("auto_reply", "ignored"),  # known by its Auto-Submitted field, not by a code
        Category("undetermined", "unknown"),
    )
}

# Said of everything, so the text is asked first.
VAGUE = "5.0.x 5.3.0 5.5.0 5.7.0 5.7.1 5.7.5xx 5.7.6xx 5.7.7xx"

# Lists of domains and of links: what the message says or who sends it, not where it comes from.
DOMAIN_LISTED = r"""
    \b (dbl\.spamhaus | surbl | uribl | rhsbl | ivmuri) | spamhaus\.org/(query|lookup)/d(bl|omain)
    | \b (sender\ address | helo\ command) \b .{0,300} \b blocked\ using
    | \b domain (\ name)? \b .{0,60} \b (black|block|deny)[ -]?list
    | \b domain (\ name)? \b .{0,60} \b (listed | reputation | blocked)
    | \b reputation\ of \b .{0,40} \b domain
    | \b (ur[il]s? | links?) \b .{0,60} \b (black | block | deny | listed)
"""
ADDRESS_LISTED = r"""
    \b spamhaus | spamcop | barracuda(central)? | \b sorbs\b | psbl\.surriel | mailspike | abuseat
    | uceprotect | ivmsip | senderscore | ipcheck\.proofpoint | csi\.cloudmark
    | \b (dnsbl | rbl) \b
    | \b blocked\ using \b
    | \b network\ is\ on\ our\ block\ ?list | \(S31[45]0\)           # Outlook.com
    | \b banned\ send(ing\ ip | er\[)                               # Exchange Online
    | \b traffic\ not\ accepted\ from\ this\ ip                      # the same
    | \[BL\d\d\]                                                     # Yahoo
    | \b reputation\ of\ the\ sending\ ip                            # Gmail: UnsolicitedIPError
    | \b ip=[0-9a-f.:]+ \s - \s a\ problem\ occurred                 # T-Online
    | \b (poor | bad | low) \b .{0,20} \b reputation
    | \b (ip (\ address)? | client\ host | sending\ host | your\ server) \b
      .{0,80} \b ((black|block|deny)[ -]?list | listed | blocked | banned)
"""
REVERSE_DNS = r"\b (ptr | rdns | reverse\ (dns | lookup | host\ ?name)) \b"
RELAY = r"""
    \b relay(ing)? \b .{0,20} \b (denied | not\ (permitted | allowed) | prohibited)
    | \b (unable | not\ (permitted | allowed)) \ to\ relay
"""
VIRUS = r"\b (virus(es)? | malware | trojan | infected) \b"
SPAM = r"\b (spam | junk | unsolicited | phish | bulk\ mail | ur[il]s? | content) "
NOBODY = r"""
    \b (no\ such | unknown | invalid | non-?existent) \ (local\ )?
      (user | recipient | mailbox | address | account)
    | \b (user|recipient|mailbox|address|account) \b .{0,30}
      \b (unknown | unavailable | not\ found | does\ not\ exist | doesn't\ exist)
"""
FULL = r"\b (mailbox | quota) \b .{0,30} \b (full | exceeded) | \b over\ quota \b"
NO_SUCH_HOST = r"not\ known | not\ found | nxdomain"


@dataclass(frozen=True)
class Rule:
    """`codes`: enhanced codes, an x standing for any digits; `smtp`: only with this reply code."""

    category: str
    codes: str
    text: str = ""
    smtp: int | None = None
    ours: bool = False


RULES = (
    # Exchange Online says this of recipients that do not exist.
    Rule("invalid_recipient", "5.4.1", r"recipient\ address\ rejected:\ access\ denied"),
    Rule("expired", "4.4.7"),
    Rule("mailbox_full", "4.2.2 5.2.2"),
    Rule("too_large", "5.2.3 5.3.4"),
    Rule("inactive_mailbox", "5.2.1 5.7.13"),
    Rule("sender_rejected", "5.1.0", r"\b sender \b"),
    Rule("invalid_recipient", "5.1.0", smtp=550),
    Rule("invalid_recipient", "5.1.2", r"\b (user | recipient | mailbox) \b"),
    Rule("invalid_recipient", "5.1.1 5.1.3 5.1.4 5.1.6 5.7.17"),
    Rule("bad_domain", "5.1.2 5.1.10 5.7.18"),
    Rule("bad_domain", "5.4.4", NO_SUCH_HOST),
    Rule("sender_rejected", "5.1.7 5.1.8 5.7.27"),
    Rule("auth_policy", "5.7.25", ours=True),  # RFC 7372: of the address' name in the DNS
    Rule("auth_policy", "5.7.20 5.7.21 5.7.22 5.7.23 5.7.24 5.7.26 5.7.29 5.7.30"),
    Rule("rate_limited", "4.7.28 4.5.3"),
    Rule("greylisted", "4.7.0 4.7.1", r"gr[ae]y-?\ ?list"),
    Rule("rate_limited", "4.7.0 4.7.1"),
    Rule("dns_failure", "4.4.3 5.4.3 4.4.4 5.4.4"),
    Rule("connect_failure", "4.4.1 4.4.2"),
    Rule("policy", "4.7.x"),
    Rule("rate_limited", "4.x.x", smtp=421),
    Rule("routing_loop", "5.4.6"),
    Rule("spam_block", VAGUE, DOMAIN_LISTED),
    Rule("spam_block", VAGUE, ADDRESS_LISTED, ours=True),
    Rule("auth_policy", VAGUE, REVERSE_DNS, ours=True),
    Rule("relay_denied", VAGUE, RELAY),
    Rule("virus", VAGUE, VIRUS),
    Rule("spam_content", "5.7.1", SPAM),
    Rule("spam_content", "5.7.0"),
    Rule("mailbox_full", "5.0.x 5.3.0 5.5.0", FULL),
    Rule("invalid_recipient", "5.0.x 5.3.0 5.5.0", NOBODY),
    Rule("spam_content", "5.0.x 5.3.0 5.5.0", SPAM),
    Rule("policy", "5.7.x"),
    Rule("protocol", "5.5.x 5.6.x"),
)

UNDETERMINED = CATEGORIES["undetermined"]
_FLAGS = re.IGNORECASE | re.VERBOSE | re.DOTALL


def _codes(written: str) -> re.Pattern[str]:
    def part(text: str) -> str:
        return r"\d{1,3}" if text == "x" else text.replace("x", r"\d")

    codes = (r"\.".join(map(part, code.split("."))) for code in written.split())
    return re.compile("|".join(codes))


_COMPILED = [(rule, _codes(rule.codes), re.compile(rule.text, _FLAGS)) for rule in RULES]


@dataclass(frozen=True)
class Finding:
    """`ours`: a remote server refused the relay's own address."""

    category: Category
    ours: bool = False


def classify(enhanced_code: str | None, smtp_code: int | None, reply: str | None) -> Finding:
    """Of an event's three fields; `smtp_code` is None when Postfix itself gave up."""
    # Without addresses: <spamhaus@…> is no list.
    words = " ".join(word for word in (reply or "").split() if "@" not in word)
    for rule, codes, text in _COMPILED:
        if not codes.fullmatch(enhanced_code or ""):
            continue
        if rule.smtp in (None, smtp_code) and text.search(words):
            return Finding(CATEGORIES[rule.category], rule.ours and smtp_code is not None)
    return Finding(UNDETERMINED)
