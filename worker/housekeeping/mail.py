"""Mails notices to the people of an account, through the mail server of `[notices]`.

One message per person.  What is due and how far it has got: `franking.notices.outgoing`; here is
the sending.  The Message-ID says notice and person, so a repeat after a crash is known as one.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

from franking import log
from franking.db import Database, utcnow
from franking.notices import outgoing, texts
from franking.notices.config import Notices
from franking.notices.outgoing import Claimed
from franking.settings import Settings

# Of one person or one notice; other refusals concern us all.
REFUSED = (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError, smtplib.SMTPDataError)


class Mailing:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._own = settings.notices
        self._brand = settings.brand.name
        self._panel_url = settings.panel.url

    def look(self) -> int:
        """Send what is due; returns how many notices are done with."""
        if not self._own.from_address:
            return 0
        done = 0
        while claimed := self._claim():
            sent = self._send(claimed)
            done += sent
            if sent < len(claimed):
                break  # the server has trouble: the next look asks it again
        return done

    def _claim(self) -> list[Claimed]:
        with self._database.session() as session:
            if not outgoing.waiting(session, utcnow()):
                return []
        with self._database.transaction() as session:
            return outgoing.claim(session, utcnow())

    def _send(self, claimed: list[Claimed]) -> int:
        """All over one connection; where that fails, the rest waits for another."""
        done = 0
        left = list(claimed)
        try:
            with _connected(self._own) as client:
                while left:
                    done += self._to_everybody(client, left[0])
                    left.pop(0)
        except (OSError, smtplib.SMTPException) as error:
            self._put_off(left, f"{type(error).__name__}: {error}")
        return done

    def _to_everybody(self, client: smtplib.SMTP, notice: Claimed) -> bool:
        """False when somebody has to be tried again later; that keeps nobody else waiting."""
        later: smtplib.SMTPException | None = None
        with self._database.transaction() as session:
            if not outgoing.renew(session, notice, utcnow()):
                return True  # another worker has it now
        for address in list(notice.addresses):
            try:
                client.send_message(self._message(notice, address))
                result = outgoing.SENT
            except REFUSED as error:
                if (refused := _refusal(error)) is None:
                    later = error
                    continue
                result = refused
            with self._database.transaction() as session:
                if not outgoing.record(session, notice, address, result, utcnow()):
                    return True
        if later is not None:
            self._put_off([notice], f"{type(later).__name__}: {later}")
            return False
        with self._database.transaction() as session:
            outgoing.finish(session, notice, utcnow())
        return True

    def _put_off(self, left: list[Claimed], error: str) -> None:
        for notice in left:
            log.notice_not_mailed(notice.id, error)
            with self._database.transaction() as session:
                outgoing.fail(session, notice, error, utcnow())

    def _message(self, notice: Claimed, address: str) -> EmailMessage:
        written = texts.mail(
            notice.kind, notice.detail, brand=self._brand, panel_url=self._panel_url
        )
        message = EmailMessage()
        message["From"] = formataddr((self._brand, self._own.from_address))
        message["To"] = address
        message["Subject"] = written.subject
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = _message_id(notice.id, address, self._own.from_address)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies to it
        message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
        message.set_content(written.text)
        message.add_alternative(written.html, subtype="html")
        return message


def _message_id(notice_id: int, address: str, sender: str) -> str:
    who = hashlib.sha256(address.encode()).hexdigest()[:16]
    return f"<notice-{notice_id}-{who}@{sender.rpartition('@')[2]}>"


def _refusal(error: smtplib.SMTPException) -> str | None:
    """Why this person cannot be written to, whatever is tried later; None when that may change."""
    if isinstance(error, smtplib.SMTPDataError):
        return None
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        if 400 <= code < 500:
            return None
        return f"{code} {said.decode('utf-8', 'replace')}"
    return str(error)


@contextmanager
def _connected(own: Notices) -> Iterator[smtplib.SMTP]:
    client = smtplib.SMTP(own.smtp_host, own.smtp_port, timeout=own.timeout)
    try:
        if own.starttls:
            client.starttls(context=ssl.create_default_context())
        if own.username:
            client.login(own.username, own.password.get_secret_value())
        yield client
        client.quit()
    finally:
        client.close()
