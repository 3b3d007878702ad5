"""Every fault that a check can find, and the sentence that fixes it.

The keys are stored (`dns_check.fault`) and are part of the API.  A sentence names the host to
enter and the value to paste.  `{host}` is what a provider's form wants, `{name}` the full name,
`{value}` the text, `{quoted}` the same as in a zone file, `{servers}` who serves the zone where
that is not obvious; the other names are details of the fault.
"""

from __future__ import annotations

from typing import Final

from franking.domains.checks.finding import shown
from franking.domains.lost import KEY_NOT_IN_ZONE, MOVED  # the operator's to mend
from franking.domains.records import Record

LONGEST = 4000  # characters of one detail: a merged SPF record must stay whole

_ADD = "Add a {type} record to the zone {zone}{servers}: host {host}, value {value}"
_ENTER = "Then enter the {type} record: host {host}, value {value}"

SENTENCES: Final[dict[str, str]] = {
    # Anything
    "no_answer": "The DNS gave no answer about {asked}: {problem}. Nothing follows from that; it is"
    " asked again by itself.",
    "not_everywhere": "The name servers of {zone} have it, but the resolver {server} still has"
    " {old}{wait}. There is nothing to do but wait.",
    "absent": _ADD,
    "domain_missing": "The domain {missing} does not exist in the DNS. Register it, or have its"
    " registrar enter its name servers. " + _ENTER,
    "wrong_zone": "{name} lies in a zone of its own, {zone}; what {parent} says about it, nobody"
    " sees. " + _ADD,
    "name_doubled": "The record is at {there}: the provider adds {zone} by itself. Change the"
    " record's host to {host}",
    "underscore_dropped": "The record is at {there}, without its underscore. Change its host to"
    " {host}; a provider whose form refuses underscores can usually enter it on request",
    "misplaced": "The record is at {there}. Change its host to {host} (in full {name})",
    "foreign_cname": "{name} is a CNAME to {target}, so it cannot have the TXT record. Remove that"
    " CNAME. " + _ENTER,
    "cname_at_apex": "{name} itself is a CNAME to {target}, and no other record can stand beside a"
    " CNAME. Replace it by A and AAAA records (some providers call it ALIAS). " + _ENTER,
    "wrong_value": "Change the {type} record {host} to the value {value}",
    # TXT
    "txt_several": "The value is spread over {count} TXT records. Replace them by one record with"
    " the host {host} and these strings: {quoted}",
    "txt_marks": "The text itself has quotation marks or backslashes in it: the provider adds its"
    " own. Enter the value of {host} without them: {value}",
    "txt_spaces": "There are blanks in the value that do not belong there. Enter it as: host"
    " {host}, value {value}",
    "txt_truncated": "The value ends after {length} of {full} characters. Enter all of it; where a"
    " form takes no more than 255, as several strings: host {host}, value {quoted}",
    "token_foreign": "The token there is of another account, or an old one. Add a second TXT record"
    " beside it: host {host}, value {value}",
    # DKIM
    "dkim_of_another": "The key there is that of {owner}. Change the TXT record {host} to the value"
    " {value}",
    "dkim_other_selector": "The key there belongs to {other}; the two were mixed up. Change the TXT"
    " record {host} to the value {value}",
    "dkim_revoked": "The key there is revoked: its p= is empty. Change the TXT record {host} to the"
    " value {value}",
    "dkim_tags": "Because of {tag}, receivers do not use the key. Change the TXT record {host} to"
    " the value {value}",
    "dkim_two_keys": "There are {count} keys at this name, and receivers take any of them. Remove"
    " all TXT records of {host} but this: {value}",
    "dkim_wrong_key": "The key there is not the one that signs. Change the TXT record {host} to the"
    " value {value}",
    # CNAME
    "cname_proxied": "{name} answers with addresses instead of the CNAME. Switch the provider's"
    " proxy or flattening off for it (DNS only): host {host}, CNAME to {value}",
    "cname_wrong_target": "The CNAME points to {target}. Change it: host {host}, CNAME to {value}",
    "target_doubled": "The CNAME points to {target}: the provider adds {zone} by itself. Enter the"
    " target with a final dot: host {host}, CNAME to {quoted}",
    "txt_instead_of_cname": "There is a TXT record at {name}. Remove it, and enter instead: host"
    " {host}, CNAME to {value}",
    "occupied": "{name} has records of the type {types}, and nothing can stand beside a CNAME."
    " Remove them, and enter instead: host {host}, CNAME to {value}",
    "cname_over_zone": "{name} is a zone of its own, and a zone's own name cannot be a CNAME."
    " Remove its NS records from the zone {zone}. " + _ENTER,
    KEY_NOT_IN_ZONE: "The CNAME {name} is right; the key behind it is not in the relay's own zone"
    " yet. There is nothing to do but wait.",
    MOVED: "{name} is a CNAME to {target}, which was right until this relay's keys moved. Replace"
    " it by a {type} record: host {host}, value {value}",
    # SPF
    "spf_two": "There are {count} SPF records, and receivers then use none. Replace them by one"
    " TXT record: host {host}, value {merged}",
    "spf_without_us": "There is an SPF record without us. Change it, instead of adding another:"
    " host {host}, value {merged} ({count} of 10 look-ups)",
    "spf_no_room": "There is an SPF record without us; with us it needs {count} look-ups, and"
    " receivers stop at 10 ({costs}). Remove what no longer sends for you, or write its ip4: and"
    " ip6: networks instead, in: host {host}, value {merged}",
    "spf_too_many_lookups": "The SPF record needs {count} look-ups, and receivers stop at 10"
    " ({costs}). Remove what no longer sends for you, or write its ip4: and ip6: networks instead,"
    " in: host {host}, value {merged}",
    "spf_void_lookups": "The SPF record mentions {count} names that have no such records, and"
    " receivers stop at the third: {names}. Remove or correct them in: host {host}, value {merged}",
    "spf_loop": "The SPF record comes back to itself: {chain}. Remove {via}: host {host}, value"
    " {merged}",
    "spf_broken_include": "{term} in the SPF record of {at} is an error, because {target} has"
    " {problem}, and receivers then use nothing of it. Remove {via}: host {host}, value {merged}",
    "spf_allows_all": "{term} in the SPF record of {at} lets everybody send for {domain}. Remove"
    " {via}: host {host}, value {merged}",
    "spf_open_end": "The SPF record has {end}, so it forbids nobody to send for {domain}."
    " Advised: host {host}, value {merged}",
    "spf_invalid": "{term} in the SPF record of {at} is no SPF, and receivers then use nothing of"
    " it. Remove {via}: host {host}, value {merged}",
    "spf_split": "The SPF record is made of strings that join without a blank between them. Enter"
    " it as: host {host}, value {quoted}",
    # DMARC
    "dmarc_two": "There are {count} DMARC records, and receivers then use none. Keep one: host"
    " {host}, value {merged}",
    "dmarc_invalid": "Receivers do not use the DMARC record: {problem}. Change the TXT record"
    " {host} to the value {value}",
    "dmarc_no_reports": "The DMARC record is good, but reports about your mail do not come here."
    " Advised: host {host}, value {merged}",
    "dmarc_inherited": "The DMARC record of {parent} counts for {domain}, too. For reports and a"
    " policy of its own, advised: host {host}, value {value}",
}
FAULTS: Final = frozenset(SENTENCES)


def sentence(fault: str, record: Record, *, zone: str, **details: str) -> str:
    """The advice for one record; `zone` is the real one, as its provider knows it."""
    known = {
        "name": record.name,
        "host": record.relative_to(zone),
        "zone": zone,
        "domain": record.zone,
        "type": record.type,
        "value": record.value,
        "quoted": record.quoted,
        "servers": "",
    }
    written = {key: shown(text, LONGEST) for key, text in details.items()}
    return SENTENCES[fault].format_map(known | written)


def duration(seconds: int) -> str:
    """A TTL in words, rounded up: `60 minutes`."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds > 2 * length:
            return f"{-(-seconds // length)} {unit}"
    return f"{seconds} seconds"
