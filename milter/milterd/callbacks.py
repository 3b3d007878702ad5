"""libmilter's callbacks, translated: no decision is made here.

One object is one SMTP session; libmilter calls it from changing threads, one at a time.  All steps
but the end of the message have no reply (P_NR_*), so Postfix sends a message in one burst and
waits once.  What goes wrong in them is kept and said at the end: an error of ours is 451, never a
pass, and nothing is accepted early (smtpd 3.7.11 would let the next message by without a look).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import Milter
from sqlalchemy.exc import SQLAlchemyError

from franking import log
from franking.domains import signing
from franking.mail import replies
from franking.mail.acceptance import Outcome
from franking.mail.replies import Reply
from franking.patience import within
from milterd.message import Message
from milterd.office import Office
from milterd.verdict import Changes, Client, Refusal

LONGEST = 4.5  # seconds that the end of one message waits for the database
HELD = "waits for the next window of a limit"  # in Postfix's log

_Step = TypeVar("_Step", bound=Callable[..., Any])


def _kept(step: _Step) -> _Step:
    """Run a step that has no reply; its error is said at the end of the message."""

    @functools.wraps(step)
    def guarded(self: Session, *arguments: Any) -> int:
        try:
            step(self, *arguments)
        except Exception as error:
            self.failure = self.failure or error
        return Milter.CONTINUE

    return guarded  # type: ignore[return-value]


@Milter.header_leading_space  # header values byte for byte, as the signature needs them
class Session(Milter.Base):
    def __init__(self, office: Office) -> None:
        self._office = office
        self._helo: str | None = None
        self._message: Message | None = None
        self.failure: Exception | None = None

    @Milter.noreply
    @_kept
    def hello(self, name: str) -> int:
        self._helo = name
        return Milter.CONTINUE

    @Milter.noreply
    @Milter.decode("bytes")
    @_kept
    def envfrom(self, sender: bytes, *parameters: bytes) -> int:
        self.failure = None
        self._message = None
        self._message = Message(
            self._office.relay, self._client(), sender, parameters, self._office.scans_attachments
        )
        return Milter.CONTINUE

    @Milter.noreply
    @Milter.decode("bytes")
    @_kept
    def envrcpt(self, recipient: bytes, *parameters: bytes) -> int:
        self._expected().recipient(recipient)
        return Milter.CONTINUE

    @Milter.noreply
    @_kept
    def header(self, name: str, value: bytes) -> int:
        self._expected().header(name.encode(), value)
        return Milter.CONTINUE

    # pymilter's own would decode the value, or leave a reference cycle per session.
    header_bytes = header

    @Milter.noreply
    @_kept
    def body(self, chunk: bytes) -> int:
        self._expected().body(chunk)
        return Milter.CONTINUE

    def eom(self) -> int:
        try:
            if self.failure is not None:
                raise self.failure
            with within(LONGEST):
                return self._end_of(self._expected())
        except (SQLAlchemyError, TimeoutError) as error:
            log.database_trouble("end of message", error)
        except Exception as error:
            log.unexpected("end of message", error)
        finally:
            self._message = None
        return self._say(replies.temporary())

    def abort(self) -> int:
        self._message = None
        return Milter.CONTINUE

    def close(self) -> int:
        self._message = None
        return Milter.CONTINUE

    def _end_of(self, message: Message) -> int:
        queue_id = self.getsymval("i")
        if not queue_id:
            raise ValueError("Postfix sent no queue ID")
        now = datetime.now(UTC)
        if homes := message.inbound(now):
            return self._inbound(message, homes, queue_id)
        verdict = self._office.judge(message, queue_id, now)
        if isinstance(verdict, Refusal):
            self._office.record(verdict, message, queue_id)
            return self._say(verdict.reply)
        self._change(verdict)
        outcome = self._office.accept(verdict.acceptance)
        if isinstance(outcome, Refusal):
            self._office.record(outcome, message, queue_id)
            return self._say(outcome.reply)
        # Committed.  What fails from here on is a queue file that Postfix does not keep, and the
        # money goes back by that evidence.
        if outcome is Outcome.DISCARD:
            return Milter.DISCARD
        if outcome is Outcome.HOLD:
            self.quarantine(HELD)
        return Milter.CONTINUE

    def _inbound(self, message: Message, homes: Mapping[str, str], queue_id: str) -> int:
        reply = message.refuse_inbound()
        if reply is None:
            for recipient, home in homes.items():
                if home != recipient:
                    self.delrcpt(recipient)
                    self.addrcpt(home)
            return Milter.CONTINUE
        self._office.record(Refusal(reply), message, queue_id)
        return self._say(reply)

    def _change(self, changes: Changes) -> None:
        if changes.sender is not None:
            envelope_id = changes.envelope_id
            self.chgfrom(changes.sender, None if envelope_id is None else f"ENVID={envelope_id}")
        for recipient in changes.leave_out:
            self.delrcpt(recipient)
        for name, index in changes.delete:
            self.chgheader(name, index, None)
        for added, value in changes.add:
            self.addheader(added.decode("ascii"), self._value(value))
        for signature in changes.signatures:
            self.addheader(signing.NAME.decode("ascii"), self._value(signature), 0)

    def _value(self, value: bytes) -> str:
        """libmilter folds with LF; without P_HDR_LEADSPC Postfix adds the space itself."""
        text = value.replace(b"\r\n", b"\n").decode("ascii")
        return text if self._protocol & Milter.P_HDR_LEADSPC else text.removeprefix(" ")

    def _say(self, reply: Reply) -> int:
        """A reply's % is doubled for libmilter, which drops the whole reply otherwise."""
        text = reply.text_with_url(self._office.panel_url).replace("%", "%%")
        self.setreply(str(reply.code), reply.enhanced, text)
        return Milter.TEMPFAIL if reply.temporary else Milter.REJECT

    def _client(self) -> Client:
        version, cipher = self.getsymval("{tls_version}"), self.getsymval("{cipher}")
        return Client(
            username=self.getsymval("{auth_authen}") or "",
            auth_method=self.getsymval("{auth_type}"),
            ip=self.getsymval("{client_addr}"),
            helo=self._helo,
            tls=f"{version} {cipher}" if version else None,
        )

    def _expected(self) -> Message:
        if self._message is None:
            raise ValueError("Postfix sent a message without MAIL FROM")
        return self._message


def session_factory(office: Office) -> Callable[[], Session]:
    return functools.partial(Session, office)
