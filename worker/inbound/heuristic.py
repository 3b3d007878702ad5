"""Bounces in words: which addresses, and why, as far as that can be guessed.

flufl.bounce knows the shapes of many servers.  It gets the text without the message that is quoted
in it, whose addresses it would take for failures, and without a delivery status.  What it does not
know is looked for here: addresses that stand alone, or beside words of failure.  It is a guess,
and never suppresses anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.message import Message

from flufl.bounce import all_failures

from franking.mail.mime import Part
from worker.inbound import codes, original, words
from worker.inbound.addresses import PLAIN, bare
from worker.inbound.fields import Fields, readable
from worker.inbound.reasons import reason
from worker.inbound.report import Action, Failed, Report
from worker.inbound.texts import Texts

MOST = 20  # recipients
_DAEMON = re.compile(
    r"\b(mail(er)?[-_.]?daemon|postmaster|mdaemon|mail[-_ ]?(delivery|system)\w*|bounces?|smtp|mta"
    r"|mailer|nondelivery\w*|system[-_ ]?admin\w*)\b[^\s<>@]*@",
    re.I,
)
_PEOPLE = re.compile(
    r"(postmaster|mailer-daemon|abuse|support|help|helpdesk|info|hostmaster|admin\w*|webmaster"
    r"|noc|bounces?|itservice\w*|security|contact|service)[+@]",
    re.I,
)
_ALONE = re.compile(
    r"""^[\s*•>.-]* ((to|recipients?|rcpt\ to|empfänger|address) \s* : \s*)?
        <? (?P<address> \S{1,64} @ [^\s<>:]{1,255}?) >? [:;,.]? \s* $""",
    re.I | re.X,
)
_LEADING = re.compile(
    r"^\s*<?(?P<address>[^\s<>@]{1,64}@[^\s<>@:;,]{1,255}?)>?\s*(:|\.\.\.|;|\(| - )", re.I
)
_BEGINS = re.compile(
    r"^(return-path|received|x-[a-z0-9-]+-ref|message-id|from|date|to|subject):", re.I | re.M
)


def is_bounce(header: Fields, texts: Texts) -> bool:
    """Whether it names whom it is about, or comes from a mail server and speaks of a failure."""
    if header.first("x-failed-recipients"):
        return True
    return _from_server(header) and _speaks_of_failure(header, texts)


def read(header: Fields, parts: Sequence[Part], texts: Texts) -> Report | None:
    """None when it does not look like a bounce."""
    listed = _listed(header)
    delayed, failed = _known(header, texts)
    if not (listed or delayed or failed or is_bounce(header, texts)):
        return None
    if not (listed or _from_server(header) or _speaks_of_failure(header, texts)):
        return None
    found = listed or failed or delayed or list(_found(texts.said, _own(header))) or [""]
    action: Action = "failed"
    if not listed and ((delayed and not failed) or _delays(header, texts)):
        action = "delayed"
    returned = original.header(parts) or _quoted(texts)
    return Report(
        "heuristic",
        references=original.references(*original.values(returned)),
        failures=tuple(_failed(address, action, texts.said) for address in found[:MOST]),
        message_id=original.message_id(returned),
    )


def _from_server(header: Fields) -> bool:
    return _DAEMON.search(readable(header.first("from"))) is not None


def _speaks_of_failure(header: Fields, texts: Texts) -> bool:
    subject = readable(header.first("subject"))
    return words.is_failure(f"{subject}\n{texts.said[:4_000]}") or words.is_delay(subject)


def _delays(header: Fields, texts: Texts) -> bool:
    if words.is_delay(readable(header.first("subject"))):
        return True
    code = codes.enhanced("", texts.said) or str(codes.smtp_code(texts.said) or "")
    return not code.startswith("5") and words.is_delay(texts.said)


def _listed(header: Fields) -> list[str]:
    """Exim's X-Failed-Recipients."""
    values = ",".join(header.all("x-failed-recipients"))
    return [address for value in values.split(",")[:MOST] if (address := bare(value))]


def _known(header: Fields, texts: Texts) -> tuple[list[str], list[str]]:
    """What flufl.bounce finds: delayed, failed."""
    message = Message()
    message["From"] = header.first("from")[:300]
    message["Content-Type"] = "text/plain"
    message.set_payload(texts.said)
    try:
        delayed, failed = all_failures(message)
    except Exception:  # it is written for mail, not against it
        return [], []
    return _addresses(delayed, texts.said), _addresses(failed, texts.said)


def _addresses(found: frozenset[bytes], said: str) -> list[str]:
    """In the order in which they are in the text."""
    plain = (bare(address.decode("ascii", "replace")) for address in found)
    return sorted(set(filter(None, plain)), key=lambda address: (said.find(address), address))


def _found(said: str, own: set[str]) -> Iterator[str]:
    """Addresses at the beginning of a line, else those beside a word of failure, else the first."""
    lines = said.split("\n")[:500]
    groups = (
        [
            match["address"]
            for line in lines
            if (match := _ALONE.match(line) or _LEADING.match(line))
        ],
        [each for line in lines if words.is_failure(line) for each in PLAIN.findall(line)],
        PLAIN.findall(said)[:1],
    )
    for group in groups:
        found = dict.fromkeys(filter(None, map(bare, group)))
        wanted = [each for each in found if each.lower() not in own and not _PEOPLE.match(each)]
        if wanted:
            yield from wanted
            return


def _own(header: Fields) -> set[str]:
    """Who wrote it and who gets it."""
    names = ("from", "to", "delivered-to", "x-original-to", "reply-to", "return-path", "sender")
    values = " ".join(value for name in names for value in header.all(name))
    return {address.lower() for address in PLAIN.findall(values)}


def _failed(address: str, action: Action, said: str) -> Failed:
    why = reason(said, address)
    return Failed(
        recipient=address,
        action=action,
        status=why.status or ("5.0.0" if action == "failed" else "4.0.0"),
        smtp_code=why.smtp_code,
        diagnostic=why.text,
    )


def _quoted(texts: Texts) -> Fields:
    """The header of the message that is quoted in the text."""
    begins = _BEGINS.search(texts.quoted)
    return Fields.of(texts.quoted[begins.start() :].encode()) if begins else Fields()
