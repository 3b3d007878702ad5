"""What comes back for our mail: delivery reports, complaints, people who want no more of it.

Whose message it is about, only a token says that we have made: the one in the address it was sent
to, or for complaints one of those in the message that they return.  All else in a report is a
stranger's claim, and is believed only about recipients of that message.  What Postfix itself
reports the mail log has said before: nothing of it is recorded twice.

Everything here may be done again: an event is written once (`franking.mail.late`), a report is
passed on once, but for a crash right after.  Nothing is ever answered, so there are no loops.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from franking.db import Database
from franking.mail import cap, forwarding, late, unsubscribing
from franking.mail.forwarding import Reported
from franking.mail.late import Late, NotYet
from franking.mail.returnpath import Expired, Forged, ReturnPaths, Token
from franking.nodes import tallies
from franking.reasons import Refused
from franking.settings import Settings
from worker.inbound import passing, reading
from worker.inbound.maildir import Mail
from worker.inbound.passing import Submit
from worker.inbound.report import Failed, Report

MOST_PASSED_ON = 60  # per account and minute; more are only recorded
About = tuple[str | None, str]  # a recipient, and what became of it
ENDS = ("failed", "delivered", "relayed", "expanded")  # a delay is no end


class Useless(Refused):
    """It says nothing about mail of ours."""


class Bounces:
    """Handler of the mailboxes on the bounce domain."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        paths: ReturnPaths,
        submit: Submit | None = None,
    ) -> None:
        self._database = database
        self._rules = settings.suppressions
        self._node = settings.node
        self._paths = paths
        self._unsubscribe = unsubscribing.Tokens.of(settings)
        self._ours = frozenset({paths.domain, settings.dmarc.reports.lower()})
        self._submit = submit or passing.sendmail(settings.maillog.config_directory)
        self._cap = cap.PerMinute(MOST_PASSED_ON, time.monotonic)

    def returned(self, mail: Mail, now: datetime) -> None:
        """Mail to a return path."""
        token = self._paths.check(mail.recipient, mail.arrived)
        report = reading.read(mail.data)
        if report.kind == "automatic":
            self._count("inbound_automatic_reply")
        elif report.kind in ("complaint", "unsubscribe"):
            self._complained(report, token, mail, now)
        elif report.kind in ("dsn", "heuristic"):
            self._bounced(report, token, mail, now)
        else:
            raise Useless("it is no report about a delivery")

    def complaints(self, mail: Mail, now: datetime) -> None:
        """Mail to the address for feedback loops: its token is inside."""
        report = reading.read(mail.data)
        if report.kind == "automatic":
            self._count("inbound_automatic_reply")
            return
        if report.kind not in ("complaint", "unsubscribe"):
            raise Useless("it is no complaint")
        self._complained(report, self._token_in(report, mail.arrived), mail, now)

    def unsubscribe(self, mail: Mail, now: datetime) -> None:
        """Whoever writes there wants no more of it, whatever the message says (RFC 2369 §3.2)."""
        token = mail.local_part.removeprefix(unsubscribing.START)
        queue_id = self._unsubscribe.queue_id(token)
        if queue_id is None:
            raise Forged("its token was not made here")
        with self._database.transaction() as session:
            taken = unsubscribing.take(session, queue_id, self._rules, now, by="mail")
        if taken is None:
            raise Useless("its message is not kept any more")
        self._count("inbound_accepted")

    def _token_in(self, report: Report, arrived: datetime) -> Token:
        """Of the references in it, the first that we have made."""
        wrong: Refused = Useless("it does not tell which message it is about")
        for reference in report.references:
            try:
                return self._paths.check_reference(reference, arrived)
            except (Forged, Expired) as error:
                wrong = error
        raise wrong

    def _reported(self, token: Token) -> Reported:
        with self._database.session() as session:
            found = forwarding.reported(session, token.queue_id)
        if found is None:
            raise Useless("its message is not kept any more")
        return found

    def _complained(self, report: Report, token: Token, mail: Mail, now: datetime) -> None:
        message = self._reported(token)
        # Redacted: of the message's only recipient, or of one of several, nobody knows which.
        whose = {message.meant([name]) for name in report.recipients} or {message.meant(())}
        for recipient in sorted(whose, key=str):
            said = Late(
                token.queue_id,
                recipient,
                "complained" if report.kind == "complaint" else "unsubscribed",
                mail.arrived,
                remote_host=report.reporting_mta or None,
                detail=_given(feedback_type=report.feedback_type),
            )
            with self._database.transaction() as session:
                late.record(session, message.node, said, self._rules, now)
        self._count("inbound_accepted")

    def _bounced(self, report: Report, token: Token, mail: Mail, now: datetime) -> None:
        """Each recipient in a transaction of its own.  Raises NotYet when one has to wait for the
        mail log; the others are done then."""
        message = self._reported(token)
        waits: NotYet | None = None
        for failed in report.failures:
            recipient = message.meant(failed.candidates)
            if failed.action != "failed" or recipient is None:
                continue
            said = _bounce(report, failed, token, recipient, mail.arrived)
            try:
                with self._database.transaction() as session:
                    late.record(session, message.node, said, self._rules, now)
            except NotYet as error:
                waits = error
        if report.kind == "dsn":
            self._pass_on(report.failures, message, mail, now)
        if waits is not None:
            raise waits
        self._count("inbound_accepted" if report.kind == "dsn" else "inbound_heuristic")

    def _pass_on(
        self, failures: Iterable[Failed], message: Reported, mail: Mail, now: datetime
    ) -> None:
        about = {
            (message.meant(each.candidates), each.action)
            for each in failures
            if each.action in ENDS
        }
        with self._database.session() as session:
            to = forwarding.addressee(session, message, self._ours)
            new = [] if to is None else _new(session, message, about)
        if to is None or not new:
            return
        if not self._cap.admit(message.account_id):
            self._count("inbound_not_passed_on")
            return
        self._submit(to, passing.as_it_came(mail.data))
        with self._database.transaction() as session:
            for recipient, action in new:
                told = Late(
                    *(message.queue_id, recipient, "notified", mail.arrived),
                    detail=forwarding.passed_on(to, action),
                )
                late.record(session, message.node, told, self._rules, now)
            tallies.add(session, self._node, "inbound_passed_on")

    def _count(self, name: tallies.Name) -> None:
        with self._database.transaction() as session:
            tallies.add(session, self._node, name)


def _new(session: Session, message: Reported, about: Collection[About]) -> list[About]:
    """What of it the sender has not been told."""
    ordered = sorted(about, key=lambda each: (each[0] or "", each[1]))
    return [each for each in ordered if not forwarding.is_passed_on(session, message, *each)]


def _bounce(report: Report, failed: Failed, token: Token, recipient: str, at: datetime) -> Late:
    host = failed.remote_mta
    address = _is_address(host)
    return Late(
        token.queue_id,
        recipient,
        "bounced",
        at,
        smtp_code=failed.smtp_code,
        enhanced_code=failed.status,
        reply=failed.diagnostic or None,
        category=failed.finding.category.name,
        remote_host=None if address else host or None,
        remote_ip=host if address else None,
        detail=_given(
            reported_by=report.reporting_mta,
            reported_as=_other_than(recipient, failed.recipient),
            guessed=report.kind == "heuristic",
        ),
        heuristic=report.kind == "heuristic",
    )


def _given(**values: str | bool) -> dict[str, str | bool]:
    return {name: value for name, value in values.items() if value}


def _other_than(recipient: str, named: str) -> str:
    """The address that failed, where it is not the one that was written to."""
    return "" if named.lower() == recipient.lower() else named[:320]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
