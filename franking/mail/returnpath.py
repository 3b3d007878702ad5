"""Envelope senders of our own: `bounce+<token>@<bounce domain>`, one for each message.

A customer's domain may have a bounce domain of its own, a CNAME to ours: SPF is then aligned with
the From domain (RFC 7489 §3.1.2).  So the token decides whether such an address is ours, wherever
it is.

The token is the queue ID and a MAC over it: a forged report about a message is known for one, and
that needs no database.  A token's age is that of its queue ID, which begins with the time.  The
same token stands in the message itself, for reports that tell nothing else (`reference`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from franking.mail import queue_ids
from franking.mail.tokens import Macs, base32, from_base32
from franking.reasons import Refused
from franking.settings import Settings

START = "bounce+"
DAYS = 14


class Forged(Refused):
    """Nobody here has made this token."""


class Expired(Refused):
    """It is ours, and so old that nothing is believed of its message any more."""


@dataclass(frozen=True)
class Token:
    """`made_at`: when the queue file was made; None when the queue ID is no long one."""

    queue_id: str
    made_at: datetime | None


class ReturnPaths:
    def __init__(
        self,
        master_key: bytes,
        domain: str,
        old_master_key: bytes | None = None,
        *,
        days: int = DAYS,
    ) -> None:
        """`domain` in A-labels.  Addresses made with the old master key are ours, too."""
        self.domain = domain.lower()
        self._lifetime = timedelta(days=days)
        self._macs = Macs(b"return path", master_key, old_master_key)

    @classmethod
    def of(cls, settings: Settings) -> ReturnPaths | None:
        """None without a bounce domain; raises SettingsError."""
        own = settings.bounces
        if not own.domain:
            return None
        keys = settings.master_key_bytes(), settings.old_master_key_bytes()
        return cls(keys[0], own.domain, keys[1], days=own.token_days)

    def reference(self, queue_id: str) -> str:
        """The token of this message."""
        return f"{base32(queue_id.encode())}-{self._macs.of(queue_id)}"

    def address(self, queue_id: str, own_domain: str | None = None) -> str:
        """The envelope sender of this message; `own_domain` is a customer's that leads here."""
        return f"{START}{self.reference(queue_id)}@{own_domain or self.domain}"

    def check(self, address: str, now: datetime) -> Token:
        """Whose return path it is, at whatever domain; raises Forged or Expired."""
        local, _, _ = address.lower().rpartition("@")
        if not local.startswith(START):
            raise Forged("it is no return path")
        return self.check_reference(local.removeprefix(START), now)

    def check_reference(self, token: str, now: datetime) -> Token:
        """What the token stands for; raises Forged or Expired."""
        encoded, _, mac = token.lower().partition("-")
        try:
            queue_id = from_base32(encoded).decode("ascii")
        except ValueError as error:
            raise Forged("its token is none") from error
        if not self._macs.is_genuine(queue_id, mac):
            raise Forged("its token was not made here")
        made_at = queue_ids.made_at(queue_id)
        if made_at is not None and made_at < now - self._lifetime:
            raise Expired(f"its message is of {made_at:%Y-%m-%d}")
        return Token(queue_id, made_at)


def is_return_path(address: str) -> bool:
    """Whether it is written like one, at whatever domain."""
    return address.lower().startswith(START)
