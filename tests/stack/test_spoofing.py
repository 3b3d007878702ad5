"""Nobody leaves here as somebody else: corpora/from_spoofing.txt through the running stack.

Two looks at what comes out, neither of them ours: whose signatures are on it, and whom Python's
`email`, which guesses where our parser refuses, takes for the author.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import NamedTuple

import expect
import pytest
import verifiers
from corpora import corpus
from dialogue import Dialogue, logged_in
from sqlalchemy import select

from franking.mail.models import Recipient
from stack.delivery import Delivery
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

OWN, VICTIM = "mallory", "bank"
BODY = b"\r\n\r\nHello\r\n"
MOST_ERRORS = 8  # in a row and session: smtpd slows down at 10
SIGNED_FOR = re.compile(rb"\bd=([^;\s]+)")


class Case(NamedTuple):
    number: int
    expected: str
    name: str
    smtputf8: bool
    content: bytes

    @property
    def recipient(self) -> str:
        return f"spoofed-{self.number}@example.net"


class Outcome(NamedTuple):
    case: Case
    reply: str
    session_goes_on: bool


def cases() -> list[Case]:
    return [
        Case(number, kind.split()[-1], name, kind.startswith("u "), corpus.octets(text))
        for number, (kind, name, text) in enumerate(corpus.rows("from_spoofing"))
    ]


@pytest.fixture(scope="module")
def victim(stack: RunningStack) -> Sender:
    return stack.sender(VICTIM)


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender(OWN)


@pytest.fixture(scope="module")
def outcomes(stack: RunningStack, sender: Sender, victim: Sender) -> list[Outcome]:
    found: list[Outcome] = []
    waiting = cases()
    while waiting:
        with logged_in(stack, sender) as session:
            found += _some(session, sender, waiting)
    return found


def _some(session: Dialogue, sender: Sender, waiting: list[Case]) -> Iterator[Outcome]:
    """As many as one session should carry."""
    errors = 0
    while waiting and errors < MOST_ERRORS and not session.closed:
        case = waiting.pop(0)
        parameters = " SMTPUTF8" if case.smtputf8 else ""
        said = session.begin(sender.address, case.recipient, parameters=parameters)
        assert said.startswith("354"), (case.name, said)
        said = session.end(case.content + BODY)
        errors = 0 if said.startswith("250") else errors + 1
        yield Outcome(case, said, session.say("NOOP").startswith("250"))


@pytest.fixture(scope="module")
def left(stack: RunningStack, outcomes: list[Outcome]) -> dict[str, Delivery]:
    """Recipient → what the sink got, once it has all that was accepted."""
    wanted = {o.case.recipient for o in outcomes if o.reply.startswith("250")}

    def there() -> dict[str, Delivery] | None:
        got = {d.recipients[0]: d for d in stack.deliveries() if d.recipients[0] in wanted}
        return got if got.keys() == wanted else None

    return stack.until(there)


def test_the_corpus_is_large() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) >= 200
    assert {case.expected for case in cases()} == {"refused", "signed"}


def test_each_is_refused_or_signed_as_the_table_says(outcomes: list[Outcome]) -> None:
    codes = {"refused": ("550", "552", "554"), "signed": ("250",)}
    wrong = [
        (o.case.name, o.case.expected, o.reply)
        for o in outcomes
        if not o.reply.startswith(codes[o.case.expected])
    ]
    assert wrong == []
    assert [o.case.name for o in outcomes if not o.session_goes_on] == []


def test_nothing_refused_was_kept(
    stack: RunningStack, outcomes: list[Outcome], left: dict[str, Delivery]
) -> None:
    everything = {o.case.recipient for o in outcomes}
    with stack.database.session() as session:
        query = select(Recipient.address).where(Recipient.address.in_(everything))
        assert set(session.scalars(query)) == left.keys()
    assert {r for d in stack.deliveries() for r in d.recipients} & everything == left.keys()


def test_all_that_left_is_signed_for_the_sender_alone(
    stack: RunningStack,
    sender: Sender,
    victim: Sender,
    outcomes: list[Outcome],
    left: dict[str, Delivery],
) -> None:
    records = expect.dns_records(stack, sender) | expect.dns_records(stack, victim)
    for outcome in outcomes:
        if (delivery := left.get(outcome.case.recipient)) is None:
            continue
        head = delivery.content.partition(b"\r\n\r\n")[0]
        forged = outcome.case.content.lower().count(b"dkim-signature:")
        signatures = re.findall(rb"(?im)^dkim-signature:(.*(?:\r\n[ \t].*)*)", head)
        ours = signatures[: len(signatures) - forged]
        assert [SIGNED_FOR.findall(s)[0] for s in ours] == [sender.domain.encode()], outcome
        verified = verifiers.dkimpy(delivery.content, records)
        assert verified == [True, *[False] * forged], outcome


def test_nobody_takes_it_for_the_victims(sender: Sender, left: dict[str, Delivery]) -> None:
    for content in (delivery.content for delivery in left.values()):
        for policy in (email.policy.compat32, email.policy.default):
            parsed = email.message_from_bytes(content, policy=policy)
            assert domains_of_authors(parsed) == {sender.domain}, content
            assert f"@{VICTIM}.test" not in "".join(map(decoded, authors(parsed))), content
        head = content.partition(b"\r\n\r\n")[0]
        lines = re.findall(rb"(?im)^from[\x00-\x20\x7f-\xff]*:.*(?:\r\n[ \t].*)*", head)
        assert len(lines) == 1, content
        assert f"@{VICTIM}.test".encode() not in lines[0].lower()


def authors(parsed: Message) -> list[str]:
    return [str(value) for value in parsed.get_all("From", [])]


def decoded(value: str) -> str:
    parts = (part for part, _ in decode_header(value))
    return "".join(p if isinstance(p, str) else p.decode("utf-8", "replace") for p in parts).lower()


def domains_of_authors(parsed: Message) -> set[str]:
    return {a.rpartition("@")[2].lower() for _, a in getaddresses(authors(parsed))}
