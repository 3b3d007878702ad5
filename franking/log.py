"""The log vocabulary: every line a process can write is one function here.

Lines are JSON on stderr (journald or the supervisor keeps them): time, level, process, event and
named values.  Secrets and message content never appear; remote text is bounded by its caller.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

_log = structlog.get_logger()


def configure(process: str, level: str = "info") -> None:
    """Call once, first thing in a process's main."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def started(settings: dict[str, Any]) -> None:
    _log.info("started", settings=settings)


def stopped() -> None:
    _log.info("stopped")


def database_trouble(where: str, error: BaseException) -> None:
    """Somebody got a temporary failure because of this."""
    _log.error("database_trouble", where=where, error=_first_line(error))


def unexpected(where: str, error: BaseException) -> None:
    """A bug of ours; the peer got a temporary failure."""
    _log.error("unexpected", where=where, exc_info=error)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"


def log_gap(path: str, why: str) -> None:
    """Lines of the mail log may be missing; what has no evidence is now unknown, not void."""
    _log.error("log_gap", path=path, why=why)


def accepted_unpaid(queue_id: str, username: str) -> None:
    """Postfix took a client's message for which no money is reserved.  Must never happen."""
    _log.critical("accepted_unpaid", queue_id=queue_id, username=username)


def unpaid_released(queue_id: str) -> None:
    """Somebody has released a message that waited for money with Postfix's tools: it is charged,
    below zero if need be.  `franking message release` does the same."""
    _log.error("unpaid_released", queue_id=queue_id)


def delivery_unmatched(queue_id: str, address: str) -> None:
    """A delivery of one of our messages to a recipient that it does not have."""
    _log.warning("delivery_unmatched", queue_id=queue_id, address=address[:320])


def reservation_reconciled(queue_id: str, state: str, evidence: str) -> None:
    """The log did not settle this reservation in time; the queue did."""
    _log.warning("reservation_reconciled", queue_id=queue_id, state=state, evidence=evidence)


def reservation_unknown(queue_id: str, account_id: int) -> None:
    """No evidence either way, and the log has a gap: an operator must settle it."""
    _log.critical("reservation_unknown", queue_id=queue_id, account_id=account_id)


def ledger_wrong(difference: str, count: int) -> None:
    """The books do not add up; the first of so many differences.  `franking ledger verify` tells
    them all."""
    _log.critical("ledger_wrong", difference=difference[:300], count=count)


def ledger_verified(seconds: float) -> None:
    _log.info("ledger_verified", seconds=round(seconds, 1))


def retention(made: int, dropped: int, rows: int, seconds: float) -> None:
    """Months made and dropped (on PostgreSQL), messages and events deleted."""
    _log.info("retention", made=made, dropped=dropped, rows=rows, seconds=round(seconds, 1))


def invoice_not_issued(account_id: int, why: str) -> None:
    """An account's month could not be invoiced.  The worker tries it again every hour."""
    _log.error("invoice_not_issued", account_id=account_id, why=why[:300])


def fee_not_charged(account_id: int, why: str) -> None:
    """An account's monthly fee could not be booked.  The worker tries it again every hour."""
    _log.error("fee_not_charged", account_id=account_id, why=why[:300])


def month_done(duty: str, period: str, count: int) -> None:
    """Fees were charged to, or invoices issued for, so many accounts."""
    _log.info("month_done", duty=duty, period=period, count=count)


def notice_not_mailed(notice_id: int, error: str) -> None:
    """The mail server did not take a notice; it is tried again, or given up."""
    _log.warning("notice_not_mailed", notice_id=notice_id, error=error[:300])


def report_stored(domain: str, org_name: str, messages: int) -> None:
    """A receiver's DMARC report about a customer's domain."""
    _log.info("report_stored", domain=domain, org_name=org_name, messages=messages)


def report_dropped(recipient: str, why: str) -> None:
    _log.info("report_dropped", recipient=recipient[:320], why=why)


def inbound_unusable(recipient: str, file: str, why: str, count: int) -> None:
    """Mail to ourselves that says nothing that we can use; it is set aside.  The so-manyth since
    the worker's start."""
    _log.warning(
        "inbound_unusable", recipient=recipient[:320], file=file, why=why[:300], count=count
    )


def keys_moved(domain: str, done: list[str]) -> None:
    """Keys of a domain were made, have begun or ended to sign, or were removed."""
    _log.info("keys_moved", domain=domain, done=done)


def key_lost(name: str) -> None:
    """The relay's own zone does not have a key that signs, although its server was told: nobody can
    verify that domain's mail.  It is told again.  Once, until the key is there."""
    _log.error("key_lost", name=name)


def zone_not_told(name: str, error: str, count: int) -> None:
    """The server of the relay's own zone did not take so many records, this one among them; it is
    told again."""
    _log.error("zone_not_told", name=name, error=error[:200], count=count)


def zone_behind(name: str, count: int) -> None:
    """Keys have waited for a day to get into the relay's own zone, so many of those that were just
    looked at, this record's among them: they cannot sign.  Once, until none waits any more."""
    _log.error("zone_behind", name=name, count=count)


def clock_jumped(seconds: float) -> None:
    """The time of day has moved so far from what it was by the machine's own counter; records of
    old keys stay for a day more.  Once a jump."""
    _log.error("clock_jumped", seconds=round(seconds))


def address_blocked(receiver: str, remote_ip: str | None, reply: str, queue_id: str) -> None:
    """A receiver refuses mail because of this node's address, whoever has sent it: ask it to lift
    that.  Once an hour for each receiver; `franking doctor` shows them all."""
    _log.critical(
        "address_blocked", receiver=receiver, remote_ip=remote_ip, reply=reply[:300],
        queue_id=queue_id,
    )  # fmt: skip


def endpoint_paused(endpoint_id: int, why: str) -> None:
    """A customer's endpoint gets no more webhooks, and the account was told."""
    _log.info("endpoint_paused", endpoint_id=endpoint_id, why=why[:200])


def deliverability_worse(name: str, subject: str, status: str, detail: str) -> None:
    """Something about this node's name, addresses or listeners is not as it was.  Once a change;
    `franking doctor` says what helps."""
    tell = _log.error if status == "fail" else _log.warning
    tell("deliverability_worse", name=name, subject=subject, status=status, detail=detail)


def deliverability_better(name: str, subject: str, detail: str) -> None:
    _log.info("deliverability_better", name=name, subject=subject, detail=detail)


def open_files_hidden(pid: int) -> None:
    """Whether a queue file is still being written cannot be seen: the worker must be root."""
    _log.error("open_files_hidden", pid=pid)


def command_failed(command: list[str], error: BaseException) -> None:
    _log.error("command_failed", command=command, error=_first_line(error))


def refused(queue_id: str, key: str, text: str, account_id: int | None) -> None:
    """The milter refused a message; the customer sees the same as an event."""
    _log.info("refused", queue_id=queue_id, key=key, text=text[:300], account_id=account_id)


def queue_id_reused(queue_id: str) -> None:
    """Postfix used a queue ID again: the clock went back."""
    _log.critical("queue_id_reused", queue_id=queue_id)


def milter_worker_ended(pid: int, status: int, lived: float) -> None:
    """The parent replaces it; `status` is negative for a signal, `lived` in seconds."""
    _log.error("milter_worker_ended", pid=pid, status=status, lived=round(lived, 1))


def payment_provider_trouble(provider: str, error: BaseException) -> None:
    """A payment provider did not answer, or refused; what waits for it is tried again."""
    _log.error("payment_provider_trouble", provider=provider, error=_first_line(error))


def deposit_unknown(provider: str, reference: str | None, other: str | None) -> None:
    """A provider tells of a payment with our mark that is not, or not so, in this database."""
    _log.error("deposit_unknown", provider=provider, reference=reference, provider_reference=other)


def deposit_in_wrong_currency(reference: str, paid: str, wanted: str) -> None:
    """Nothing was credited: an operator must send the money back, or credit it by hand."""
    _log.critical("deposit_in_wrong_currency", reference=reference, paid=paid, wanted=wanted)


def webhook_forged(provider: str, address: str | None, why: str) -> None:
    """Somebody sent a payment webhook without its signature, or the secret is not the right one."""
    _log.warning(
        "webhook_forged", provider=provider, address=_word(address or "unknown"), why=why[:200]
    )


def died_at(point: str) -> None:
    """The last line of a process that was told to die there (`franking.failpoints`)."""
    _log.critical("died_at", point=point)


def peer_fault(where: str, error: BaseException) -> None:
    """Whoever is at the other end does not speak the protocol; the connection was closed."""
    _log.warning("peer_fault", where=where, error=_first_line(error))


def no_decision(where: str, error: BaseException) -> None:
    """A question was not answered, so that Postfix says 4xx."""
    _log.error("no_decision", where=where, error=_first_line(error.__cause__ or error))


def refusals_capped(account_id: int, count: int) -> None:
    """So many refusals of the last minute were answered but not recorded as events."""
    _log.warning("refusals_capped", account_id=account_id, count=count)


def journal_dropped(count: int, why: str) -> None:
    """Refusals or last uses that could not be written; no answer was wrong because of it."""
    _log.error("journal_dropped", count=count, why=why)


def login_failed(address: str | None, username: str | None, listener: str) -> None:
    """Somebody does not know the secret.  fail2ban reads this (docs/fail2ban): the address stays
    first, and nothing that a client says may look like another field.

    `username` only when it is one of ours: people put secrets into the wrong field.
    """
    _log.warning(
        "login_failed",
        address=_word(address or "unknown"),
        username=_word(username or ""),
        listener=_word(listener),
    )


def login_throttled(address: str | None, subject: str) -> None:
    """Too many failed; logins are not looked at for a while.  Not one line per login."""
    _log.warning("login_throttled", address=_word(address or "unknown"), subject=_word(subject))


def _word(text: str) -> str:
    """At most 64 of the characters that names and addresses are made of; the rest is `?`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "@.:_+-/") else "?" for c in text[:64])


def accounting_file_missing(path: str) -> None:
    """A file of the accounting log that customers are told of is not on this host's disk: lost, or
    two hosts write into directories of their own."""
    _log.error("accounting_file_missing", path=path)
