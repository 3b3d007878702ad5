"""Addresses of our own that other servers may write to; there are no others.

    bounce+<token>@<anything>             reports about a message (`franking.mail.returnpath`)
    <complaints>@<bounce domain>          feedback loops (RFC 5965)
    unsubscribe+<token>@<bounce domain>   mail of people who want no more of it
    <token>@<domain for reports>          DMARC aggregate reports; which tokens there are, the
                                          database knows

All of it is delivered below our own domains: where a customer's bounce domain leads here, only the
token says so, and the milter puts ours in its place.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from franking.mail import returnpath, unsubscribing
from franking.mail.returnpath import Forged, ReturnPaths
from franking.reasons import NotFound
from franking.settings import Settings

Kind = Literal["bounce", "complaint", "unsubscribe", "report"]


class Mailboxes:
    def __init__(
        self,
        *,
        paths: ReturnPaths | None = None,
        complaints: str = "",
        unsubscribe: unsubscribing.Tokens | None = None,
        reports: str = "",
    ) -> None:
        """`complaints` is a local part; `reports` a domain, empty where none are asked for."""
        self._paths = paths
        self._complaints = complaints.lower()
        self._unsubscribe = unsubscribe
        self._reports = reports.lower()
        self._bounces = paths.domain if paths is not None else ""

    @classmethod
    def of(cls, settings: Settings) -> Mailboxes:
        """Raises SettingsError."""
        paths, own = ReturnPaths.of(settings), settings.bounces
        if paths is None:
            return cls(reports=settings.dmarc.reports)
        tokens = unsubscribing.Tokens.of(settings)
        return cls(
            paths=paths,
            complaints=own.complaints,
            unsubscribe=tokens,
            reports=settings.dmarc.reports,
        )

    def looks_ours(self, address: str) -> bool:
        """Whether it is for `kind` to decide; else it is somebody else's for certain."""
        _, at, domain = address.rpartition("@")
        if not at:
            return False
        returned = self._paths is not None and returnpath.is_return_path(address)
        return returned or domain.lower() in {self._bounces, self._reports} - {""}

    def kind(self, address: str, now: datetime) -> Kind | None:
        """What is written to it; None when it is not ours.

        Raises Forged or Expired, and NotFound for a mailbox that a domain of ours does not have.
        """
        local, _, domain = address.lower().rpartition("@")
        if not self.looks_ours(address):
            return None
        if self._paths is not None and returnpath.is_return_path(local):
            self._paths.check(address, now)
            return "bounce"
        if domain == self._bounces and self._complaints and local == self._complaints:
            return "complaint"
        if domain == self._bounces and local.startswith(unsubscribing.START):
            self._check_unsubscribe(local.removeprefix(unsubscribing.START))
            return "unsubscribe"
        if domain == self._reports:
            return "report"
        raise NotFound("there is no such mailbox")

    def home(self, address: str, now: datetime) -> str | None:
        """The address on a domain of ours that its mail is delivered to; None when it is no mailbox
        of ours, whatever the reason."""
        try:
            kind = self.kind(address, now)
        except (Forged, returnpath.Expired, NotFound):
            return None
        local, _, domain = address.lower().rpartition("@")
        if kind == "bounce" and domain != self._bounces:
            return f"{local}@{self._bounces}"
        return address if kind else None

    def _check_unsubscribe(self, token: str) -> None:
        if self._unsubscribe is None or self._unsubscribe.queue_id(token) is None:
            raise Forged("its token was not made here")
