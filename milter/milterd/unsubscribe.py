"""Links to unsubscribe, for bulk mail that has none of its own (RFC 2369, RFC 8058).

They stand for the message's one recipient; mail to several gets none.  They are added before
signing: a one-click link counts only when a DKIM signature covers both fields (RFC 8058 §4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from franking.mail.authority import Authority
from franking.mail.unsubscribing import START, Tokens
from franking.settings import Settings, SettingsError

LIST = b"List-Unsubscribe"
POST = b"List-Unsubscribe-Post"


@dataclass(frozen=True)
class Links:
    """Where they lead: the panel's public address, and a mailbox on our bounce domain."""

    tokens: Tokens
    panel_url: str
    bounce_domain: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Links:
        """Raises SettingsError."""
        url, domain = settings.panel.url, settings.bounces.domain
        if not f"{url}{domain}".isascii():
            raise SettingsError("panel.url and bounces.domain: write a host's name as xn--…")
        return cls(Tokens.of(settings), url, domain)

    def fields(self, queue_id: str) -> list[tuple[bytes, bytes]]:
        """One-click takes https (RFC 8058 §3.1); without it a person can still use the link."""
        token = self.tokens.token(queue_id)
        links = [f"<{self.panel_url}/u/{token}>"]
        if self.bounce_domain:
            links.append(f"<mailto:{START}{token}@{self.bounce_domain}>")
        fields = [(LIST, b" " + ",\r\n ".join(links).encode())]
        if self.panel_url.startswith("https://"):
            fields.append((POST, b" List-Unsubscribe=One-Click"))
        return fields


def missing_links(
    links: Links | None,
    headers: Sequence[tuple[bytes, bytes]],
    authority: Authority,
    recipients: Sequence[str],
    queue_id: str,
) -> list[tuple[bytes, bytes]]:
    """The fields to add; none when the client says itself how to unsubscribe."""
    if links is None or not authority.bulk or len(recipients) != 1:
        return []
    given = {name.lower() for name, _ in headers} & {LIST.lower(), POST.lower()}
    return [] if given else links.fields(queue_id)
