"""Each row of the table of failures, and replies as servers say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from franking.mail.bounce_classes import (
    CATEGORIES,
    RULES,
    UNDETERMINED,
    Rule,
    classify,
    rule_of,
)

REPLIES = [
    # (category, enhanced code, SMTP code, text)
    ("invalid_recipient", "5.1.0", 550, "550 5.1.0 Address rejected."),
    ("invalid_recipient", "5.1.1", 550, "550 5.1.1 <x@y.test>: User unknown"),
    ("invalid_recipient", "5.1.1", 550, "550 5.1.1 <spamhaus@y.test>: user unknown"),
    ("invalid_recipient", "5.1.2", 550, "550 5.1.2 no such user here"),
    ("invalid_recipient", "5.1.3", 501, "501 5.1.3 Bad recipient address syntax"),
    ("invalid_recipient", "5.1.4", 550, "550 5.1.4 ambiguous"),
    ("invalid_recipient", "5.1.6", 550, "550 5.1.6 recipient no longer on server"),
    ("invalid_recipient", "5.7.17", 550, "550 5.7.17 mailbox owner has changed"),
    ("invalid_recipient", "5.4.1", 550,
     "550 5.4.1 Recipient address rejected: Access denied. [AM6EUR05FT012.eop-eur05.prod]"),
    ("invalid_recipient", "5.0.0", 550, "550 No such user here"),
    ("invalid_recipient", "5.0.0", 550, "550 Mailbox not found"),
    ("invalid_recipient", "5.5.0", 550, "550 5.5.0 mailbox unavailable"),
    ("bad_domain", "5.1.2", None, "no such service"),
    ("bad_domain", "5.1.10", None, "Domain y.test does not accept mail (nullMX)"),
    ("bad_domain", "5.4.4", None, "unable to look up host y.test: Name or service not known"),
    ("bad_domain", "5.4.4", None,
     "Host or domain name not found. Name service error for name=y.test type=MX: Host not found"),
    ("bad_domain", "5.7.18", 550, "550 5.7.18 domain owner has changed"),
    ("inactive_mailbox", "5.2.1", 550, "550 5.2.1 The email account is disabled"),
    ("inactive_mailbox", "5.7.13", 525, "525 5.7.13 User account disabled"),
    ("mailbox_full", "5.2.2", 552, "552 5.2.2 Mailbox full"),
    ("mailbox_full", "4.2.2", 452, "452 4.2.2 The recipient's inbox is out of storage space"),
    ("mailbox_full", "5.0.0", 552, "552 user is over quota"),
    ("too_large", "5.2.3", 552, "552 5.2.3 Message too long"),
    ("too_large", "5.3.4", 552, "552 5.3.4 Message size exceeds fixed limit"),
    ("sender_rejected", "5.1.7", 553, "553 5.1.7 Bad sender's mailbox address syntax"),
    ("sender_rejected", "5.1.8", 550, "550 5.1.8 Sender address rejected: Domain not found"),
    ("sender_rejected", "5.7.27", 550, "550 5.7.27 sender address has null MX"),
    ("sender_rejected", "5.1.0", 550, "550 5.1.0 <a@b.test> sender rejected"),
    ("auth_policy", "5.7.26", 550, "550-5.7.26 the sender is unauthenticated"),
    ("auth_policy", "5.7.23", 550, "550 5.7.23 SPF validation failed"),
    ("auth_policy", "5.7.30", 550, "550 5.7.30 REQUIRETLS"),
    ("spam_content", "5.7.1", 550, "550 5.7.1 Message rejected as spam by Content Filtering."),
    ("spam_content", "5.7.0", 552, "552-5.7.0 blocked because of its attachment"),
    ("spam_content", "5.7.1", 554, "554 5.7.1 Message contains a phishing page"),
    ("spam_content", "5.0.0", 554, "554 rejected due to spam content"),
    ("virus", "5.7.1", 550, "550 5.7.1 virus Eicar-Test-Signature detected"),
    ("virus", "5.0.0", 554, "554 infected with malware"),
    ("policy", "5.7.1", 550, "550 5.7.1 rejected by local rules"),
    ("policy", "5.7.38", 550, "550 5.7.38 mail flood"),
    ("policy", "4.7.5", 421, "421 4.7.5 not today"),
    ("policy", "5.7.0", 550, "550 5.7.0 Local Policy Violation"),
    ("policy", "5.0.0", 554, "554 Transaction failed. Reject due to policy restrictions."),
    ("policy", "5.0.0", 550, "550 Administrative prohibition"),
    ("policy", "5.7.133", 550, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup"),
    ("auth_policy", "4.7.26", 421, "421 4.7.26 not authenticated"),
    ("auth_policy", "5.7.27", 550, "550-5.7.27 SPF checks for [shop.test] did not pass"),
    ("auth_policy", "5.7.32", 550, "550-5.7.32 the From: header is not aligned"),
    ("auth_policy", "5.7.1", 550,
     "550-5.7.1 Unauthenticated email from shop.test is not accepted due to domain's DMARC policy"),
    ("auth_policy", "5.7.509", 550,
     "550 5.7.509 Access denied, sending domain shop.test does not pass DMARC verification"),
    ("auth_policy", "5.7.515", 550,
     "550 5.7.515 Access denied, sending domain does not meet the required authentication level"),
    ("auth_policy", "5.0.0", 550, "550 DMARC Sender Invalid - envelope rejected"),
    ("auth_policy", "5.0.0", 550, "550 SPF check failed"),
    ("auth_policy", "5.7.1", 550, "550 5.7.1 message failed DKIM verification"),
    ("sender_rejected", "4.1.8", 450, "450 4.1.8 Sender address rejected: Domain not found"),
    ("sender_rejected", "5.0.0", 550, "550 Sender verify failed"),
    ("sender_rejected", "5.0.0", 550, "550 Sender address unknown"),
    ("sender_rejected", "5.5.0", 550, "550 5.5.0 verification failed for <a@shop.test>"),
    ("invalid_recipient", "5.1.10", 550,
     "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
    ("invalid_recipient", "5.0.0", 554,
     "554 delivery error: dd This user doesn't have a yahoo.com account"),
    ("invalid_recipient", "5.0.0", 550, "550 #5.1.0 Address rejected."),
    ("invalid_recipient", "5.0.0", 550, "550 sorry, no mailbox here by that name. (#5.1.1)"),
    ("invalid_recipient", "5.0.0", 550, "550 Unrouteable address"),
    ("invalid_recipient", "5.0.0", 550, "550 [PERM.ERR: Not our Customer]"),
    ("invalid_recipient", "5.0.0", 550,
     "550 Message was not accepted -- invalid mailbox. Local mailbox is unavailable"),
    ("invalid_recipient", "5.5.0", 550,
     "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."),
    ("invalid_recipient", None, 550, "550 No such recipient here"),
    ("inactive_mailbox", "5.0.0", 554, "554 delivery error: dd This mailbox is disabled (554.30)."),
    ("inactive_mailbox", "5.0.0", 550, "550 User suspended"),
    ("mailbox_full", "5.0.0", 552,
     "552 Requested mail action aborted: exceeded storage allocation"),
    ("mailbox_full", "5.0.0", 550, "550 User account is overquota"),
    ("too_large", "5.0.0", 552,
     "552 sorry, that message size exceeds my databytes limit (#5.3.4)"),
    ("rate_limited", "5.2.1", 550,
     "550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents"),
    ("rate_limited", "4.2.1", 450, "450-4.2.1 The user is receiving email too quickly."),
    ("rate_limited", "5.0.0", 550, "550 Connection frequency limited"),
    ("spam_content", "5.0.0", 554, "554 DT:SPM 163 smtp12"),
    ("rate_limited", "5.2.121", 550, "550 5.2.121 recipient has exceeded their limit"),
    ("auth_policy", "5.7.9", 554, "554 5.7.9 not accepted due to domain's DMARC policy"),
    ("policy", "5.7.9", 554, "554 5.7.9 Message not accepted for policy reasons"),
    ("bad_domain", "4.0.0", None, "DNS Error: DNS type 'mx' lookup of y.test: NXDOMAIN"),
    ("bad_domain", "5.4.0", 554, "554 5.4.0 the destination email system is unknown or invalid"),
    ("invalid_recipient", "5.0.0", None, "User x not listed in public Name & Address Book"),
    ("bad_domain", "5.4.310", 550, "550 5.4.310 DNS domain does not exist"),
    ("dns_failure", "5.4.312", 550, "550 5.4.312 Message expired, DNS query failed"),
    ("greylisted", "4.0.0", 451, "451 temporarily rejected: greylisted"),
    ("expired", "5.4.300", 550, "550 5.4.300 Message expired"),
    ("routing_loop", "5.4.14", 554, "554 5.4.14 Hop count exceeded - possible mail loop"),
    ("relay_denied", "5.0.0", 553,
     "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    ("relay_denied", "5.0.0", 554, "554 Relay rejected for policy reasons."),
    ("rate_limited", "4.7.0", 421, "421 4.7.0 try again later"),
    ("rate_limited", "4.7.28", 421, "421-4.7.28 unusual rate of mail"),
    ("rate_limited", "4.5.3", 452, "452 4.5.3 Too many recipients"),
    ("rate_limited", "4.3.2", 421, "421 4.3.2 too busy"),
    ("greylisted", "4.7.1", 451, "451 4.7.1 Greylisted, see http://sink.test/grey"),
    ("dns_failure", "4.4.3", None, "Host or domain name not found. try again"),
    ("dns_failure", "5.4.3", 550, "550 5.4.3 routing server failure"),
    ("connect_failure", "4.4.1", None, "connect to mx.test[192.0.2.1]:25: Connection refused"),
    ("connect_failure", "4.4.2", None, "lost connection with mx.test[192.0.2.1]"),
    ("routing_loop", "5.4.6", 554, "554 5.4.6 too many hops"),
    ("expired", "4.4.7", None, "delivery time expired"),
    ("protocol", "5.5.2", 502, "502 5.5.2 Error: command not recognized"),
    ("protocol", "5.6.7", None, "SMTPUTF8 is required, but was not offered by host mx.test"),
    ("relay_denied", "5.7.1", 554, "554 5.7.1 <x@y.test>: Relay access denied"),
    ("relay_denied", "5.7.1", 550, "550 5.7.1 Unable to relay"),
    ("relay_denied", "5.0.0", 550, "550 relaying not permitted"),
    ("undetermined", "5.0.0", 550, "550 no"),
    ("undetermined", "5.3.0", None, "service unavailable. Command output: cannot"),
    ("undetermined", "5.4.1", 550, "550 5.4.1 no"),
    ("undetermined", None, None, "removed from the queue by the operator"),
    ("undetermined", "nonsense", 550, None),
]  # fmt: skip

OURS = [
    ("spam_block", "5.7.1", 554,
     "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org;"
     " https://www.spamhaus.org/query/ip/192.0.2.9"),
    ("spam_block", "5.7.1", 550,
     "550 5.7.1 Unfortunately, messages from [192.0.2.9] weren't sent. Please contact your Internet"
     " service provider since part of their network is on our block list (S3140)."),
    ("spam_block", "5.7.606", 550, "550 5.7.606 Access denied, banned sending IP [192.0.2.9]."),
    ("spam_block", "5.7.511", 550, "550 5.7.511 Access denied, banned sender[192.0.2.9]."),
    ("spam_block", "5.7.1", 553,
     "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.9"),
    ("spam_block", "5.7.1", 550,
     "550-5.7.1 [192.0.2.9] Our system has detected that this message is 550-5.7.1 likely"
     " suspicious due to the very low reputation of the sending IP address."),
    ("spam_block", "5.3.0", 553, "553 5.3.0 flph399 DNSBL:RBL 521< 192.0.2.9 >_is_blocked."),
    ("spam_block", "5.0.0", 554, "554 IP=192.0.2.9 - A problem occurred. (Ask your postmaster)"),
    ("spam_block", "5.0.0", 550, "550 The sending IP 192.0.2.9 is listed on a black list"),
    ("spam_block", "5.0.0", 554, "554 Your access has been rejected due to poor reputation"),
    ("spam_block", "5.7.28", 550,
     "550-5.7.28 an unusual rate of unsolicited mail originating from your IP address"),
    ("spam_block", "4.7.28", 421,
     "421-4.7.28 an unusual rate of unsolicited mail originating from your IP address"),
    ("spam_block", "4.7.0", 421,
     "421 4.7.0 [TSS04] Messages from 192.0.2.9 temporarily deferred due to user complaints"),
    ("auth_policy", "4.7.25", 450,
     "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.9]"),
    ("auth_policy", "5.7.1", 550, "550 5.7.1 Client host rejected: cannot find your hostname"),
    ("auth_policy", "5.7.25", 550, "550 5.7.25 The IP address has no PTR record"),
    ("auth_policy", "5.0.0", 554, "554 Bad DNS PTR resource record."),
]  # fmt: skip

# The same words, but of the sender, the content or the recipient; or Postfix's own.
THEIRS = [
    ("5.7.1", 554, "554 5.7.1 Sender address [a@shop.test] blocked using dbl.spamhaus.org"),
    ("5.7.1", 554, "554 5.7.1 Helo command [shop.test] blocked using dbl.spamhaus.org"),
    ("5.7.1", 550, "550-5.7.1 due to the very low reputation of the sending domain."),
    ("5.7.1", 554, "554 5.7.1 message contains a URL listed by SURBL"),
    ("5.0.0", 550, "550 Your domain has been blacklisted"),
    ("5.7.1", 550, "550 5.7.1 <barracuda@y.test>: rejected by the mailbox's owner"),
    ("5.1.1", 550, "550 5.1.1 blocked using zen.spamhaus.org"),
    ("5.7.1", None, "Client host blocked using zen.spamhaus.org"),
    ("5.7.25", None, None),
]


@pytest.mark.parametrize(("category", "enhanced", "code", "text"), [*REPLIES, *OURS])
def test_category(category: str, enhanced: str | None, code: int | None, text: str | None) -> None:
    assert classify(enhanced, code, text).category.name == category


@pytest.mark.parametrize(("_category", "enhanced", "code", "text"), REPLIES)
def test_what_is_not_about_our_address(
    _category: str, enhanced: str | None, code: int | None, text: str | None
) -> None:
    assert not classify(enhanced, code, text).ours


@pytest.mark.parametrize(("_category", "enhanced", "code", "text"), OURS)
def test_blocks_of_our_address(_category: str, enhanced: str, code: int, text: str) -> None:
    assert classify(enhanced, code, text).ours
    assert not classify(enhanced, None, text).ours


@pytest.mark.parametrize(("enhanced", "code", "text"), THEIRS)
def test_blocks_of_something_else(enhanced: str, code: int | None, text: str | None) -> None:
    assert not classify(enhanced, code, text).ours


def test_every_category_has_a_reply_here() -> None:
    known = {category for category, *_ in REPLIES + OURS}
    assert known == set(CATEGORIES) - {"auto_reply"}
    assert {rule.category for rule in RULES} | {"auto_reply", "undetermined"} == set(CATEGORIES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.category} {rule.codes[:20]}")
def test_every_rule_decides_some_reply_here(rule: Rule) -> None:
    """So none stands behind another that leaves it nothing."""
    replies = [*(said[1:] for said in REPLIES + OURS), *THEIRS]
    assert any(rule_of(*said) is rule for said in replies)


def test_only_recipients_are_suppressed() -> None:
    """Never for 5.7.x but for those two that are about the recipient's owner."""
    for category in CATEGORIES.values():
        assert (category.suppress == "never") or category.kind in {"hard", "soft"}
    for number in set(range(100)) - {13, 17, 18}:
        assert classify(f"5.7.{number}", 550, "550 user unknown").category.suppress == "never"


@given(
    st.none() | st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True) | st.text(max_size=12),
    st.none() | st.integers(400, 599),
    st.none() | st.text(max_size=2000),
)
def test_whatever_is_said(enhanced: str | None, code: int | None, reply: str | None) -> None:
    found = classify(enhanced, code, reply)
    assert CATEGORIES[found.category.name] is found.category
    if found.ours:
        assert code is not None
    if not enhanced and code is None:
        assert found.category is UNDETERMINED
