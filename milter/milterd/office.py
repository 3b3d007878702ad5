"""What a message needs of the database: one look before the verdict, one transaction after it.

Nothing about an account is cached: a revoked credential or an empty balance counts for the next
message.  Private keys are kept opened, because opening one costs more than using it.
Errors of the database leave here as they are; the callbacks answer them with 451.

The work is done in threads that Python made.  libmilter calls back from a pool of its own, each
time from another thread, while pymilter keeps one Python thread state per connection: an extension
that asks for "this thread's state" (PyGILState_Ensure; sqlite3 does when it closes a connection)
then finds that of a connection long gone and crashes the process.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import ParamSpec, TypeVar

from cachetools import TTLCache, cached
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from franking import failpoints, log, sealing
from franking.db import Database, utcnow
from franking.domains import dkim
from franking.domains.dkim import PrivateKey
from franking.mail import acceptance, authority, replies, suppressions
from franking.mail.acceptance import Acceptance, NotAccepted, Outcome
from franking.mail.authority import SigningKey
from franking.mail.mailboxes import Mailboxes
from franking.mail.returnpath import ReturnPaths
from franking.reasons import AccountSuspended, PriceMoved
from franking.settings import Settings
from milterd.message import Message
from milterd.refusals import RefusalLog
from milterd.unsubscribe import Links
from milterd.verdict import Changes, Lookups, Refusal, Relay

OPEN_KEYS = 1024
SCANS_KNOWN, SCANS_SECONDS = 10_000, 5.0
THREADS = 8
LONGEST = 6.0  # seconds; the waits inside end before that, this is for what nobody thought of

P = ParamSpec("P")
T = TypeVar("T")


class Office:
    def __init__(self, settings: Settings, database: Database) -> None:
        self.panel_url = settings.panel.url
        self._sealer = sealing.sealer(settings)
        self.relay = Relay(
            node=settings.node,
            tag_header=settings.brand.tag_header,
            max_header_bytes=settings.milterd.max_header_bytes,
            max_header_fields=settings.milterd.max_header_fields,
            max_message_bytes=settings.milterd.max_message_bytes,
            return_paths=ReturnPaths.of(settings),
            prefix=settings.brand.prefix,
            mailboxes=Mailboxes.of(settings),
            mailbox_bytes=settings.inbound.longest_message,
            unsubscribe=Links.of(settings),
        )
        self._database = database
        remember = cached(TTLCache(SCANS_KNOWN, SCANS_SECONDS), lock=threading.Lock())
        self.scans_attachments = remember(self._scans_attachments)
        self._refusals = RefusalLog(database, settings.node)
        self._private_key = functools.lru_cache(OPEN_KEYS)(self._opened)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="office")

    def judge(self, message: Message, queue_id: str, now: datetime) -> Refusal | Changes:
        return self._away(self._judge, message, queue_id, now)

    def accept(self, accepted: Acceptance) -> Refusal | Outcome:
        """The transaction that takes the money; when it returns an Outcome, it is done."""
        return self._away(self._accept, accepted)

    def _scans_attachments(self, username: str) -> bool:
        """Whether the rules of this client ask for it; may be `SCANS_SECONDS` old."""
        return self._away(self._look_at_rules, username)

    def record(self, refusal: Refusal, message: Message, queue_id: str) -> None:
        """Never raises: a failure here must not change what the client is told."""
        try:
            self._away(self._refusals.record, refusal, message, queue_id)
        except (SQLAlchemyError, TimeoutError) as error:
            log.database_trouble("recording a refusal", error)
        except Exception as error:
            log.unexpected("recording a refusal", error)

    def _away(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call it in a thread of Python's, with this one's deadline; raises TimeoutError."""
        context = contextvars.copy_context()
        future = self._threads.submit(lambda: context.run(function, *arguments, **named))
        try:
            return future.result(LONGEST)
        finally:
            future.cancel()  # when it has not begun, it shall not begin later

    def _look_at_rules(self, username: str) -> bool:
        with self._database.session() as session:
            found = authority.authority(session, username, utcnow())
            return found is not None and found.rules.judges_attachments

    def _judge(self, message: Message, queue_id: str, now: datetime) -> Refusal | Changes:
        with self._database.session() as session:
            lookups = Lookups(
                authority=lambda username: authority.authority(session, username, now),
                signing_domain=functools.partial(authority.signing_domain, session),
                private_key=self._private_key,
                suppressed=functools.partial(_suppressed, session, now=now),
            )
            return message.judge(lookups, queue_id, now)

    def _accept(self, accepted: Acceptance) -> Refusal | Outcome:
        try:
            return self._accept_at_its_price(accepted)
        except PriceMoved:  # once more, with what is true by now
            try:
                return self._accept_at_its_price(accepted)
            except PriceMoved:
                return Refusal(replies.temporary())

    def _accept_at_its_price(self, accepted: Acceptance) -> Refusal | Outcome:
        try:
            with self._database.transaction() as session:
                outcome = acceptance.accept(session, accepted)
                failpoints.passing("milterd.uncommitted")
            failpoints.passing("milterd.committed")
            return outcome
        except NotAccepted as refused:
            return Refusal(refused.reply, accepted.authority)
        except AccountSuspended as error:
            return Refusal(replies.account_suspended(str(error)), accepted.authority)
        except acceptance.DuplicateQueueId:
            log.queue_id_reused(accepted.queue_id)
            return Refusal(replies.temporary())

    def _opened(self, domain_id: int, key: SigningKey) -> PrivateKey:
        private = dkim.unseal(
            key.sealed_private_key,
            self._sealer,
            domain_id=domain_id,
            selector=key.selector,
        )
        return dkim.load(private)


def _suppressed(
    session: Session,
    account_id: int,
    addresses: Sequence[str],
    domain: str,
    stream: str,
    *,
    now: datetime,
) -> dict[str, str]:
    found = suppressions.matching(session, account_id, addresses, domain, stream, now=now)
    return {address: f"{each.reason} {each.created_at:%Y-%m-%d}" for address, each in found.items()}
