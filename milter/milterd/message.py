"""One message on its way through the milter, and the verdict on it.  Knows no libmilter.

The steps before the end only collect; what exceeds a limit is counted, not kept.  `judge` then
decides in this order: who sends, what the limits and the content rules say, whose From domain it
is, where bounces go, who must not be written to; then it completes and signs.  Everything that can
fail happens here: what is left for the caller is to hand the changes to Postfix and, as the very
last act, to commit `Changes.acceptance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from franking.accounts.rules import Rules
from franking.domains.names import within
from franking.mail import replies
from franking.mail.acceptance import Acceptance
from franking.mail.address import AddressError, Mailbox, parse_from
from franking.mail.authority import Authority, SigningDomain
from franking.mail.envelope import objection, sending_domain
from franking.mail.replies import Reply
from franking.mail.words import shown
from milterd import content, idempotency, inbound, labels, mailclients, outgoing, policy
from milterd.attachments import check_attachments
from milterd.bodyhash import LONGEST_LINE, BodyHash
from milterd.labels import Labels
from milterd.parts import Scanner
from milterd.verdict import Changes, Client, Headers, Lookups, Refusal, Relay

LONGEST_SHOWN = 250  # characters of a subject or Message-ID that are kept


class _Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class Message:
    def __init__(
        self,
        relay: Relay,
        client: Client,
        sender: bytes,
        parameters: Sequence[bytes],
        scans_attachments: Callable[[str], bool],
    ) -> None:
        """`scans_attachments` tells of a user name whether its rules judge attachments."""
        self.sender = _bare(sender)
        self.recipients: list[str] = []
        self.author = ""  # the From address, once it is known
        self._relay = relay
        self._client = client
        self._smtputf8 = any(parameter.upper() == b"SMTPUTF8" for parameter in parameters)
        self._envelope_id = any(parameter.upper().startswith(b"ENVID=") for parameter in parameters)
        self._headers: Headers = []
        self._header_fields = 0
        self._header_bytes = 0
        self._body = BodyHash()
        self._scans_attachments = scans_attachments
        self._scanner: Scanner | None = None

    def recipient(self, address: bytes) -> None:
        self.recipients.append(_bare(address))

    def header(self, name: bytes, value: bytes) -> None:
        self._header_fields += 1
        self._header_bytes += len(name) + len(value) + 3
        if self._header_limit() is None:
            self._headers.append((name, value))

    def body(self, chunk: bytes) -> None:
        if self._body.size == 0:
            self._scanner = self._new_scanner()
        self._body.update(chunk)
        if self._scanner is not None:
            self._scanner.feed(chunk)

    def _new_scanner(self) -> Scanner | None:
        """Where attachments are judged, and for repeats: their boundaries are new each time."""
        repeatable = idempotency.present(self._headers)
        who = self._client.username
        judging = bool(who) and self._scans_attachments(who)  # what comes back asks no database
        if repeatable or judging:
            return Scanner(self._headers, hashing=repeatable, judging=judging)
        return None

    def inbound(self, now: datetime) -> Mapping[str, str]:
        """Where its recipients are delivered, if nobody has logged in and all are mailboxes of
        ours; else empty."""
        if self._client.username:
            return {}
        return inbound.homes(self.recipients, self._relay.mailboxes, now)

    def refuse_inbound(self) -> Reply | None:
        """Why mail to ourselves is not taken; else it passes untouched, unsigned and for free."""
        if self._header_bytes + self._body.size > self._relay.mailbox_bytes:
            return replies.too_large(self._relay.mailbox_bytes)
        return inbound.objection(self.sender, self._headers, self._header_limit())

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
        self._check_size(authority.rules)
        author = self._author()
        recipients = self._check_envelope()
        found, key = self._check_content(authority.rules)
        domain = _signing_domain(lookups, authority, author)
        objected = outgoing.sender_objection(self.sender, self._relay, lookups, authority, domain)
        if objected is not None:
            raise _Refused(objected)
        return_path = outgoing.return_path(self.sender, self._relay, domain, queue_id)
        suppressed = self._suppressed(lookups, authority, author, recipients)
        delete, headers = policy.apply(
            self._headers,
            authority.rules.custom_headers,
            authority.rules.custom_headers_allowed,
            self._relay.tag_header,
        )
        add = outgoing.added(
            headers,
            self._relay,
            authority,
            recipients=recipients,
            queue_id=queue_id,
            author_domain=author.domain,
            now=now,
        )
        complete = headers + add
        body_hash = self._body.digest()
        repeatable = key and (key, self._sameness(author, recipients, body_hash))
        acceptance = Acceptance(
            node=self._relay.node,
            queue_id=queue_id,
            authority=authority,
            domain_id=domain.domain_id,
            from_address=author.address,
            envelope_sender=self.sender,
            return_path=return_path,
            recipients=recipients,
            suppressed=suppressed,
            subject=_shown(complete, b"subject"),
            message_id=_shown(complete, b"message-id"),
            size=self._header_bytes + 2 + self._body.size,
            tags=found.tags,
            metadata=found.metadata,
            idempotency=repeatable or None,
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
        reference = self._relay.reference_header
        signed = outgoing.signatures(complete, body_hash, domain, lookups, now, also=reference)
        leave_out = [r for r in self.recipients if r.lower() in suppressed]
        envelope_id = None if self._envelope_id else self._relay.reference(queue_id)
        return Changes(delete, add, signed, leave_out, return_path, envelope_id, acceptance)

    # --- may it ---

    def _header_limit(self) -> str | None:
        """The limit that the header fields exceed."""
        if self._header_fields > self._relay.max_header_fields:
            return f"{self._relay.max_header_fields} fields"
        if self._header_bytes > self._relay.max_header_bytes:
            return f"{self._relay.max_header_bytes} bytes"
        return None

    def _check_size(self, rules: Rules) -> None:
        limit = self._header_limit() or content.check_field_sizes(self._headers)
        if limit is not None:
            raise _Refused(replies.too_many_headers(limit))
        own = rules.max_message_bytes or self._relay.max_message_bytes
        most = min(own, self._relay.max_message_bytes)
        if self._header_bytes + self._body.size > most:
            raise _Refused(replies.too_large(most))

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

    def _suppressed(
        self, lookups: Lookups, authority: Authority, author: Mailbox, recipients: list[str]
    ) -> Mapping[str, str]:
        """Whom to leave out.  policyd has refused those it knew of by the envelope's domain."""
        refuses = authority.rules.suppressed == "reject"
        if refuses and sending_domain(self.sender) == author.domain:
            return {}
        return lookups.suppressed(authority.account_id, recipients, author.domain, authority.stream)

    def _check_content(self, rules: Rules) -> tuple[Labels, str | None]:
        """Labels and idempotency key; every violation of every rule goes into one reply."""
        found, errors = labels.read(self._headers, self._relay.tag_header)
        key, more = idempotency.idempotency_key(self._headers)
        errors = [
            *content.check_singletons(self._headers),
            *content.check_fields(self._headers),
            *content.check_malformed(self._headers),
            *(content.check_subject(self._headers) if rules.subject_required else ()),
            *(() if rules.mail_clients_allowed else mailclients.check_client(self._headers)),
            *errors,
            *more,
            *self._check_attachments(rules),
        ]
        if self._body.too_long_line:
            errors.append(
                f"A line is longer than {LONGEST_LINE} octets;"
                " encode the body as quoted-printable or base64"
            )
        if errors:
            raise _Refused(replies.data_invalid(errors, rules.content_refusal))
        return found, key

    def _check_attachments(self, rules: Rules) -> list[str]:
        if (scanner := self._scanner) is not None:
            found = scanner.finish()
            if scanner.judging:
                return check_attachments(found, rules.attachments_allowed, rules.attachments_denied)
        if rules.judges_attachments and self._body.size:  # newer than the first of the body
            raise _Refused(replies.temporary())
        return []

    def _sameness(self, author: Mailbox, recipients: list[str], body_hash: bytes) -> str:
        """What a repeat of this message has in common with it, boundaries left aside."""
        said = None if self._scanner is None else self._scanner.digest()
        return idempotency.content_digest(
            author.address, recipients, self._headers, said or body_hash
        )


def _check_standing(authority: Authority) -> None:
    if authority.credential_ended:
        raise _Refused(replies.credential_revoked())
    if authority.account_status != "active":
        raise _Refused(replies.account_suspended(authority.suspended_reason))


def _signing_domain(lookups: Lookups, authority: Authority, author: Mailbox) -> SigningDomain:
    domain = lookups.signing_domain(authority.account_id, author.domain)
    if domain is None:
        raise _Refused(replies.from_not_verified(author.domain))
    if authority.sending_domains and not within(author.domain, authority.sending_domains):
        raise _Refused(replies.domain_not_for_key(author.domain))
    return domain


def _shown(headers: Headers, wanted: bytes) -> str:
    value = next((value for name, value in headers if name.lower() == wanted), b"")
    return shown(value, LONGEST_SHOWN)


def _bare(address: bytes) -> str:
    """An envelope address without its angle brackets; what is not UTF-8 is refused later."""
    text = address.decode("utf-8", "replace")
    return text[1:-1] if text.startswith("<") and text.endswith(">") else text
