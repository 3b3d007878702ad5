"""One message on its way through the milter, and the verdict on it.  Knows no libmilter.

The steps before the end only collect; what exceeds a limit is counted, not kept.  `judge` then
decides in this order: who sends, what the limits and the content rules say, whose From domain it
is; then it completes and signs.  Everything that can fail happens here: what is left for the caller
is to hand the changes to Postfix and, as the very last act, to commit `Changes.acceptance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from franking.mail import replies
from franking.mail.acceptance import Acceptance
from franking.mail.address import AddressError, Mailbox, parse_from
from franking.mail.authority import Authority
from franking.mail.envelope import objection
from franking.mail.replies import Reply
from franking.mail.words import shown
from milterd import content, outgoing, tags
from milterd.bodyhash import LONGEST_LINE, BodyHash
from milterd.verdict import Changes, Client, Headers, Lookups, Refusal, Rules

LONGEST_SHOWN = 250  # characters of a subject or Message-ID that are kept


class _Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class Message:
    def __init__(self, rules: Rules, client: Client, sender: bytes, parameters: Sequence[bytes]):
        self.sender = _bare(sender)
        self.recipients: list[str] = []
        self.author = ""  # the From address, once it is known
        self._rules = rules
        self._client = client
        self._smtputf8 = any(parameter.upper() == b"SMTPUTF8" for parameter in parameters)
        self._headers: Headers = []
        self._header_fields = 0
        self._header_bytes = 0
        self._body = BodyHash()

    def recipient(self, address: bytes) -> None:
        self.recipients.append(_bare(address))

    def header(self, name: bytes, value: bytes) -> None:
        self._header_fields += 1
        self._header_bytes += len(name) + len(value) + 3
        if self._header_limit() is None:
            self._headers.append((name, value))

    def body(self, chunk: bytes) -> None:
        self._body.update(chunk)

    def judge(self, lookups: Lookups, queue_id: str, now: datetime) -> Refusal | Changes:
        """The verdict; `now` is the moment that date, signature and charge will carry."""
        authority = None
        try:
            authority = self._authority(lookups)
            return self._accepted(lookups, authority, queue_id, now)
        except _Refused as refused:
            return Refusal(refused.reply, authority)

    # --- who ---

    def _authority(self, lookups: Lookups) -> Authority:
        found = lookups.authority(self._client.username) if self._client.username else None
        if found is None:
            raise _Refused(replies.authentication_required())
        return found

    def _accepted(
        self, lookups: Lookups, authority: Authority, queue_id: str, now: datetime
    ) -> Changes:
        _check_standing(authority)
        self._check_size()
        author = self._author()
        recipients = self._check_envelope()
        found_tags = self._check_content()
        domain = lookups.signing_domain(authority.account_id, author.domain)
        if domain is None:
            raise _Refused(replies.from_not_verified(author.domain))
        delete, headers = self._without_tags()
        add = outgoing.missing(headers, author.domain, now)
        complete = headers + add
        acceptance = Acceptance(
            node=self._rules.node,
            queue_id=queue_id,
            authority=authority,
            domain_id=domain.domain_id,
            from_address=author.address,
            envelope_sender=self.sender,
            recipients=recipients,
            subject=_shown(complete, b"subject"),
            message_id=_shown(complete, b"message-id"),
            size=self._header_bytes + 2 + self._body.size,
            tags=found_tags,
            client_ip=self._client.ip,
            client_helo=self._client.helo,
            tls=self._client.tls,
            auth_method=self._client.auth_method,
            signatures=[
                {"domain": domain.name, "selector": key.selector, "algorithm": key.algorithm}
                for key in domain.keys
            ],
            now=now,
        )
        signed = outgoing.signatures(complete, self._body.digest(), domain, lookups, now)
        return Changes(delete, add, signed, acceptance)

    # --- may it ---

    def _header_limit(self) -> str | None:
        """The limit that the header fields exceed."""
        if self._header_fields > self._rules.max_header_fields:
            return f"{self._rules.max_header_fields} fields"
        if self._header_bytes > self._rules.max_header_bytes:
            return f"{self._rules.max_header_bytes} bytes"
        return None

    def _check_size(self) -> None:
        if (limit := self._header_limit()) is not None:
            raise _Refused(replies.too_many_headers(limit))
        if self._header_bytes + self._body.size > self._rules.max_message_bytes:
            raise _Refused(replies.too_large(self._rules.max_message_bytes))

    def _author(self) -> Mailbox:
        values = [value for name, value in self._headers if name.lower() == b"from"]
        try:
            author = parse_from(values, smtputf8=self._smtputf8)
        except AddressError as error:
            raise _Refused(replies.from_invalid(str(error))) from error
        self.author = author.address
        return author

    def _check_envelope(self) -> list[str]:
        """The distinct recipients, lower case.  policyd has refused bad addresses one by one."""
        if self.sender and (why := objection(self.sender)):
            raise _Refused(replies.sender_invalid(why))
        for recipient in self.recipients:
            if why := objection(recipient):
                raise _Refused(replies.recipient_invalid(why))
        return list(dict.fromkeys(recipient.lower() for recipient in self.recipients))

    def _check_content(self) -> list[str]:
        """The tags; every violation of every rule goes into one reply."""
        values = [value for name, value in self._headers if self._is_tag_header(name)]
        found, errors = tags.parse(values, self._rules.tag_header)
        errors = [
            *content.check_singletons(self._headers),
            *content.check_fields(self._headers),
            *errors,
        ]
        if self._body.too_long_line:
            errors.append(
                f"A line is longer than {LONGEST_LINE} octets;"
                " encode the body as quoted-printable or base64"
            )
        if errors:
            raise _Refused(replies.data_invalid(errors))
        return found

    # --- completing ---

    def _is_tag_header(self, name: bytes) -> bool:
        return name.lower() == self._rules.tag_header.lower().encode()

    def _without_tags(self) -> tuple[list[tuple[str, int]], Headers]:
        headers = [header for header in self._headers if not self._is_tag_header(header[0])]
        count = len(self._headers) - len(headers)
        return [(self._rules.tag_header, index) for index in range(count, 0, -1)], headers


def _check_standing(authority: Authority) -> None:
    if authority.credential_revoked:
        raise _Refused(replies.credential_revoked())
    if authority.account_status != "active":
        raise _Refused(replies.account_suspended(authority.suspended_reason))
    if authority.available < authority.unit_price:
        raise _Refused(replies.insufficient_balance())


def _shown(headers: Headers, wanted: bytes) -> str:
    value = next((value for name, value in headers if name.lower() == wanted), b"")
    return shown(value, LONGEST_SHOWN)


def _bare(address: bytes) -> str:
    """An envelope address without its angle brackets; what is not UTF-8 is refused later."""
    text = address.decode("utf-8", "replace")
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text
