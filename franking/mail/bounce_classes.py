"""Why a delivery failed: from enhanced code, SMTP code and text to a category.

The codes decide (RFC 3463, RFC 5248's registry); text does only where codes are known to lie: 5.7.x
and 5.0.0 are said of everything, and Postfix writes 5.0.0 itself where a server gave no enhanced
code (smtp/smtp_chat.c).  The first matching rule wins.  Recipients are suppressed for codes and
words about recipients alone: of 5.7.x only for the three codes that are about the mailbox.

`ours` tells a refusal of the relay's own address from one of the sender, the content or the
recipient: it is what a plan may refund (`franking.money.refunds`).  Only what a remote server said
can be that, and when its words fit both, it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
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
# Gmail (4.7.0, 4.7.28, 5.7.28), Yahoo and AT&T: of all mail from the address.
ADDRESS_THROTTLED = r"""
    \b originating\ from\ your\ ip | \b mail\ sent\ from\ your\ ip | \[TSS\d\d\]
    | \b messages\ from\ [0-9a-f.:]+ \ (temporarily\ deferred|weren't\ sent)
"""
REVERSE_DNS = r"""
    \b (ptr | rdns | reverse\ (dns | lookup | host\ ?name)) \b
    | \b cannot\ find\ your\ (reverse\ )?hostname
"""
NOT_AUTHENTIC = r"""
    \b (dmarc | spf | dkim) \b .{0,80} \b (fail | reject | polic | invalid | unauthori | not\ pass
      | does\ not\ designate | unaligned | prohibited)
    | \b (fail(s|ed|ure)? | violates? | not\ pass) \b .{0,60} \b (dmarc | spf | dkim) \b
    | \b unauthenticated \ (e-?mail|mail|sender) | \b required\ authentication\ level
"""
BAD_SENDER = r"""
    \b sender \b .{0,30} \b (verif\w+ | rejected | invalid | unknown | domain)
    | \b verification\ failed\ for | \b domain\ of\ sender
"""
TOO_FAST = r"""
    \b (frequency | rate) \ limit | \b too\ (many|quickly|fast) | \b at\ a\ rate\ that
    | \b throttl
"""
TOO_LARGE = r"\b (message|size) \b .{0,30} \b (exceeds | too\ (large|big|long)) | databytes"
RELAY = r"""
    \b relay(ing)? \b .{0,20} \b (denied | not\ (permitted | allowed) | prohibited | rejected)
    | \b (unable | not\ (permitted | allowed)) \ to\ relay | \b rcpthosts \b
"""
VIRUS = r"\b (virus(es)? | malware | trojan | infected) \b"
POLICY = r"\b polic(y | ies) | \b administrative(ly)?\ prohibit"
SPAM = (
    r"\b DT:SP[MB] \b | \b (spam | junk | unsolicited | phish | bulk\ mail | ur[il]s? | content) "
)
NOBODY = r"""
    \b (no\ such | unknown | invalid | non-?existent) \ (local\ )?
      (user | recipient | mailbox | address | account)
    | \b (user|recipient|mailbox|address|account) \b .{0,30}
      \b (unknown | unavailable | not\ found | does\ not\ exist | doesn't\ exist)
    | \b recipient \ (address\ )? rejected | ^\d{3} [ -] (\#5\.1\.\d\ )? address\ rejected
    | \b no\ mailbox\ (here\ )?by\ that\ name | \b unrouteable\ address | \(\#5\.1\.[136]\)
    | \b doesn't\ have\ an?\ [\w.]+\ account | \b not\ our\ customer
    | \b not\ listed\ in\ (the\ )?(domino\ directory | public\ name)
"""
GONE = r"""
    \b (account | mailbox | user) \b .{0,30}
      \b (disabled | inactive | suspended | locked | not\ active | deactivated | discontinued)
"""
FULL = r"""
    \b (mailbox | quota | inbox) \b .{0,30} \b (full | exceeded) | \b over\ ?quota \b
    | \b exceeded\ storage\ allocation
"""
NO_SUCH_HOST = r"not\ known | not\ found | nxdomain"
# Of Gmail and of Exchange, about where they forward to.
NO_SUCH_DOMAIN = r"""
    \b dns\ error \b .{0,80} \b (nxdomain | domain\ name\ not\ found)
    | \b destination\ (e-?mail\ )?system\ is\ unknown
"""
NOT_THERE = r"recip(ient)?\ ?not\ ?found"
BARE = "5.0.x 5.3.0 5.5.0"  # no code, or one that says nothing


@dataclass(frozen=True)
class Rule:
    """`codes`: enhanced codes, an x standing for any digits; `smtp`: only with this reply code."""

    category: str
    codes: str
    text: str = ""
    smtp: int | None = None
    ours: bool = False


RULES = (
    # Exchange Online says these of recipients that do not exist.
    Rule("invalid_recipient", "5.4.1", r"recipient\ address\ rejected:\ access\ denied"),
    Rule("invalid_recipient", "5.1.10", NOT_THERE),
    Rule("expired", "4.4.7 5.4.7 4.4.316 5.4.300 5.4.316"),
    # Gmail, of a mailbox that gets too much mail at the moment.
    Rule("rate_limited", "4.2.1 5.2.1", TOO_FAST),
    Rule("rate_limited", "5.2.121 5.2.122"),  # Exchange Online: of this mailbox
    Rule("mailbox_full", "4.2.2 5.2.2"),
    Rule("too_large", "5.2.3 5.3.4"),
    Rule("inactive_mailbox", "5.2.1 5.7.13"),
    Rule("sender_rejected", "5.1.0", r"\b sender \b"),
    Rule("invalid_recipient", "5.1.0", smtp=550),
    Rule("invalid_recipient", "5.1.2", r"\b (user | recipient | mailbox) \b"),
    Rule("invalid_recipient", "5.1.1 5.1.3 5.1.4 5.1.6 5.7.17"),
    Rule("bad_domain", "5.1.2 5.1.10 5.7.18 5.4.310"),
    Rule("bad_domain", "5.4.4", NO_SUCH_HOST),
    Rule("auth_policy", "5.7.27 4.7.27", r"\b spf \b"),  # Gmail's use of it
    Rule("sender_rejected", "5.1.7 5.1.8 4.1.7 4.1.8 5.7.27"),
    Rule("auth_policy", "5.7.25 4.7.25", ours=True),  # RFC 7372: of the address' name in the DNS
    Rule("auth_policy", "5.7.20 5.7.21 5.7.22 5.7.23 5.7.24 5.7.26 5.7.29 5.7.30 5.7.32"),
    Rule("auth_policy", "4.7.20 4.7.21 4.7.22 4.7.23 4.7.24 4.7.26 4.7.27 4.7.29 4.7.30 4.7.32"),
    Rule("spam_block", "4.7.0 4.7.1 4.7.28 5.7.28", ADDRESS_THROTTLED, ours=True),
    Rule("rate_limited", "4.7.28 4.5.3"),
    Rule("greylisted", "4.7.0 4.7.1 4.0.0", r"gr[ae]y-?\ ?list"),
    Rule("rate_limited", "4.7.0 4.7.1"),
    Rule("dns_failure", "4.4.3 5.4.3 4.4.4 5.4.4 4.4.312 5.4.312"),
    Rule("connect_failure", "4.4.1 4.4.2"),
    Rule("policy", "4.7.x"),
    Rule("rate_limited", "4.x.x", smtp=421),
    Rule("routing_loop", "5.4.6 5.4.14"),
    Rule("auth_policy", f"{VAGUE} 5.7.9", NOT_AUTHENTIC),  # 5.7.9: Yahoo's
    Rule("spam_block", VAGUE, DOMAIN_LISTED),
    Rule("spam_block", VAGUE, ADDRESS_LISTED, ours=True),
    Rule("auth_policy", VAGUE, REVERSE_DNS, ours=True),
    Rule("relay_denied", VAGUE, RELAY),
    Rule("virus", VAGUE, VIRUS),
    Rule("spam_content", "5.7.1", SPAM),
    Rule("policy", "5.7.0", POLICY),
    Rule("spam_content", "5.7.0"),
    Rule("mailbox_full", BARE, FULL),
    Rule("too_large", BARE, TOO_LARGE),
    Rule("inactive_mailbox", BARE, GONE),
    Rule("sender_rejected", BARE, BAD_SENDER),
    Rule("bad_domain", f"{BARE} 4.0.0 5.4.0", NO_SUCH_DOMAIN),
    Rule("invalid_recipient", BARE, NOBODY),
    Rule("rate_limited", BARE, TOO_FAST),
    Rule("spam_content", BARE, SPAM),
    Rule("policy", BARE, POLICY),
    Rule("policy", "5.7.x"),
    Rule("protocol", "5.5.x 5.6.x"),
)

LONGEST = 600  # characters of a reply that are looked at
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
    """Of an event's three fields; `smtp_code` is None when Postfix itself gave up.

    Without an enhanced code it is what Postfix makes of the other: 5.0.0 of 550.
    """
    rule = rule_of(enhanced_code, smtp_code, reply)
    if rule is None:
        return Finding(UNDETERMINED)
    return Finding(CATEGORIES[rule.category], rule.ours and smtp_code is not None)


def rule_of(enhanced_code: str | None, smtp_code: int | None, reply: str | None) -> Rule | None:
    """The one that decides."""
    if not enhanced_code and smtp_code is not None:
        enhanced_code = f"{smtp_code // 100}.0.0"
    return _rule(enhanced_code or "", smtp_code, (reply or "")[:LONGEST])


@lru_cache(maxsize=4096)  # a server that refuses one message refuses a thousand
def _rule(enhanced_code: str, smtp_code: int | None, reply: str) -> Rule | None:
    # Without addresses: <spamhaus@…> is no list.
    words = " ".join(word for word in reply.split() if "@" not in word)
    for rule, codes, text in _COMPILED:
        if not codes.fullmatch(enhanced_code):
            continue
        if rule.smtp in (None, smtp_code) and text.search(words):
            return rule
    return None
