"""What a message to a bounce address, or to the one for complaints, turned out to say.

Everything in it is a stranger's claim.  Whose message it is about, only a token says that
`franking.mail.returnpath` has made: the one in the address that it was sent to, or one of
`references`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from franking.mail.bounce_classes import Finding, classify
from worker.inbound.addresses import spellings

Kind = Literal["dsn", "complaint", "unsubscribe", "automatic", "heuristic", "unknown"]
Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]  # RFC 3464 §2.3.3


@dataclass(frozen=True)
class Failed:
    """What became of one recipient; a failure only when `action` says so.

    `recipient` and `original_recipient` as written, without brackets; empty when the report does
    not tell: it is then the only one that the message had.  `diagnostic` on one line, bounded;
    `smtp_code` is None when no remote server said it.  `remote_mta` is a host name or an address.
    """

    recipient: str
    original_recipient: str = ""
    action: Action = "failed"
    status: str | None = None
    smtp_code: int | None = None
    diagnostic: str = ""
    remote_mta: str = ""
    at: datetime | None = None

    @property
    def finding(self) -> Finding:
        return classify(self.status, self.smtp_code, self.diagnostic)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Addresses that the message may have been sent to, the likeliest first, in lower case:
        a server that forwards fails at another address than the one it was given."""
        given = (*spellings(self.original_recipient), *spellings(self.recipient))
        return tuple(dict.fromkeys(address for address in given if address))


@dataclass(frozen=True)
class Report:
    """`kind`:

    * dsn: RFC 3464; `failures` has each recipient of it, with its action
    * complaint: RFC 5965, or what providers send instead; of `recipients`, unless redacted
    * unsubscribe: the same, but somebody who does not want mail of this list any more
    * heuristic: a bounce in words; `failures` is a guess that must not suppress anybody
    * automatic: an absence note, a receipt, a challenge; of no use to anybody
    * unknown: none of them, or a feedback report that is no complaint (`feedback_type`)

    `references`: what looks like a token of a return path, in lower case, in the order found.
    `reporting_mta` is a host name in lower case.  `message_id`: the original's, with brackets.
    """

    kind: Kind
    references: tuple[str, ...] = ()
    reporting_mta: str = ""
    failures: tuple[Failed, ...] = ()
    recipients: tuple[str, ...] = ()
    feedback_type: str = ""
    message_id: str = ""
