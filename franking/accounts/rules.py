"""What a plan allows, and what a credential takes away from it.

`Rules` are a plan's: content rules, limits, and which way a refusal goes.  They are stored with
the plan as JSON, only what differs from the defaults here.  A credential has rules of its own
(`Narrowing`), which can make each of them stricter and none of them laxer: `effective` combines
both, so a plan that becomes stricter later is stricter for every credential at once.
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from franking.reasons import Invalid

Unit = Literal["second", "minute", "hour", "day", "month"]
Excess = Literal["defer", "reject", "hold"]
HeaderPolicy = Literal["keep", "allowlist", "drop"]  # from the laxest to the strictest

_STRICTNESS: tuple[HeaderPolicy, ...] = ("keep", "allowlist", "drop")
_EXTENSION = re.compile(r"[a-z0-9][a-z0-9+_-]{0,15}")
_HEADER = re.compile(r"[!-9;-~]{1,76}")
_WINDOW = re.compile(
    r"(?P<most>\d+)/(?P<per>second|minute|hour|day|month)"
    r"(?:\s+(?P<counts>messages|recipients))?"
    r"(?:\s+by\s+(?P<by>account|credential|address))?"
    r"(?:\s+(?P<on_excess>defer|reject|hold))?"
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _extension(name: str) -> str:
    name = name.lower().removeprefix(".")
    if not _EXTENSION.fullmatch(name):
        raise ValueError(f"{name!r} is not a file name extension such as pdf")
    return name


def _header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"{name!r} is not a header field name")
    return name


Extension = Annotated[str, AfterValidator(_extension)]
Header = Annotated[str, AfterValidator(_header)]
Limit = Annotated[int, Field(ge=1, le=2**31 - 1)]
Micros = Annotated[int, Field(ge=0, le=10**15)]


class Window(_Model):
    """At most `most` messages or recipients per calendar second, minute, … (UTC).

    `by` says what is counted together: the account, the credential, or one source address of the
    account.  `hold` accepts what exceeds it into the queue and sends it when the next one opens.
    """

    most: Limit
    per: Unit
    counts: Literal["messages", "recipients"] = "messages"
    by: Literal["account", "credential", "address"] = "account"
    on_excess: Excess = "defer"
    quota: bool = Field(False, description="the reply calls it the daily quota")

    def __str__(self) -> str:
        """As `parse_window` reads it."""
        return f"{self.most}/{self.per} {self.counts} by {self.by} {self.on_excess}"


def parse_window(text: str, **defaults: str) -> Window:
    """`100/minute [messages|recipients] [by account|credential|address] [defer|reject|hold]`."""
    match = _WINDOW.fullmatch(" ".join(text.split()))
    if match is None:
        raise Invalid(
            f"{text!r}: write a limit like 100/minute, 5000/day recipients or"
            " 20/second by address reject"
        )
    given = {name: value for name, value in match.groupdict().items() if value is not None}
    return parse(Window, defaults | given)


class Rules(_Model):
    """All of them; each default is the most usual service, not the strictest."""

    # Content.
    subject_required: bool = False
    attachments_allowed: tuple[Extension, ...] = Field(
        (), description="empty: all that no list denies"
    )
    attachments_denied: tuple[Extension, ...] = ()
    max_message_bytes: Limit | None = Field(None, description="None: what the relay takes")
    max_recipients: Limit | None = None
    custom_headers: HeaderPolicy = "keep"
    custom_headers_allowed: tuple[Header, ...] = ()
    mail_clients_allowed: bool = Field(True, description="desktop and mobile mail programs")
    content_refusal: Literal[550, 450] = Field(550, description="450: MailerSend's, clients retry")

    # Sender.
    envelope_sender: Literal["rewrite", "refuse"] = Field(
        "rewrite", description="what happens to one that is on no verified domain"
    )
    forward_bounces: bool = Field(
        True, description="pass reports on to it, as well; only to one on a verified domain"
    )

    # Limits.
    max_messages_per_connection: Limit = 100
    max_connections: Limit | None = Field(None, description="open at the same time on one node")
    daily_quota: Limit | None = Field(None, description="messages a day (UTC); 452 beyond it")
    quota_on_excess: Excess = "defer"
    daily_spend: Micros | None = Field(
        None, description="micro-units that one API key's messages of a day (UTC) may cost"
    )
    windows: tuple[Window, ...] = ()

    # Recipients that must not be written to.
    suppressed: Literal["reject", "drop"] = Field(
        "reject", description="drop: take the message, leave that recipient out, charge nothing"
    )

    @property
    def judges_attachments(self) -> bool:
        return bool(self.attachments_allowed or self.attachments_denied)

    def counted(self) -> tuple[Window, ...]:
        """All windows that a message counts in; the quota is one of them."""
        if self.daily_quota is None:
            return self.windows
        quota = Window(most=self.daily_quota, per="day", on_excess=self.quota_on_excess, quota=True)
        return (*self.windows, quota)


class Narrowing(_Model):
    """A credential's own rules; None and () leave the plan's as they are."""

    subject_required: bool | None = None
    attachments_allowed: tuple[Extension, ...] = ()
    attachments_denied: tuple[Extension, ...] = ()
    max_message_bytes: Limit | None = None
    max_recipients: Limit | None = None
    custom_headers: HeaderPolicy | None = None
    mail_clients_allowed: bool | None = None
    max_messages_per_connection: Limit | None = None
    max_connections: Limit | None = None
    daily_quota: Limit | None = None
    daily_spend: Micros | None = None
    windows: tuple[Window, ...] = ()


# Plans that behave like a known service; `franking plan create --profile`.
PROFILES: dict[str, Rules] = {
    "standard": Rules(),
    "strict": Rules(
        subject_required=True,
        max_messages_per_connection=5,
        custom_headers="drop",
        mail_clients_allowed=False,
        envelope_sender="refuse",
    ),
    "mailersend": Rules(
        subject_required=True,
        max_messages_per_connection=5,
        custom_headers="drop",
        mail_clients_allowed=False,
        content_refusal=450,
    ),
}


_M = TypeVar("_M", bound=BaseModel)


def parse(model: type[_M], values: Any) -> _M:
    """A Rules, Narrowing or Window of these values; raises Invalid, which names each wrong one."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Invalid(
            "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'rules'}: {item['msg']}"
                for item in error.errors(include_url=False)
            )
        ) from error


def stored(rules: Rules | Narrowing) -> str:
    """The JSON that is kept: what differs from the defaults."""
    return rules.model_dump_json(exclude_defaults=True)


def plain(rules: Rules | Narrowing) -> dict[str, Any]:
    """For JSON and the audit trail: windows as they are written."""
    data = rules.model_dump(mode="json", exclude={"windows"})
    return data | {"windows": [str(window) for window in rules.windows]}


@functools.lru_cache(4096)
def rules_of(plan: str) -> Rules:
    """A plan's rules from its stored JSON."""
    return Rules.model_validate_json(plan)


@functools.lru_cache(4096)
def narrowing_of(credential: str) -> Narrowing:
    """A credential's own rules from its stored JSON."""
    return Narrowing.model_validate_json(credential)


@functools.lru_cache(4096)
def effective(plan: str, credential: str) -> Rules:
    """What holds for a credential, from both stored JSONs; on the way of every message."""
    rules = rules_of(plan)
    return rules if credential == "{}" else narrowed(rules, narrowing_of(credential))


def narrowed(plan: Rules, own: Narrowing) -> Rules:
    """The stricter of both, rule by rule."""
    return plan.model_copy(
        update={
            "subject_required": plan.subject_required or bool(own.subject_required),
            "attachments_allowed": _both_allow(plan.attachments_allowed, own.attachments_allowed),
            "attachments_denied": (*plan.attachments_denied, *own.attachments_denied),
            "max_message_bytes": _least(plan.max_message_bytes, own.max_message_bytes),
            "max_recipients": _least(plan.max_recipients, own.max_recipients),
            "custom_headers": max(
                plan.custom_headers, own.custom_headers or "keep", key=_STRICTNESS.index
            ),
            "mail_clients_allowed": plan.mail_clients_allowed
            and own.mail_clients_allowed is not False,
            "max_messages_per_connection": _least(
                plan.max_messages_per_connection, own.max_messages_per_connection
            ),
            "max_connections": _least(plan.max_connections, own.max_connections),
            "daily_spend": _least(plan.daily_spend, own.daily_spend),
            "windows": (*plan.windows, *_own_windows(own)),
        }
    )


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _both_allow(plan: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...]:
    if not plan or not own:
        return plan or own
    # Nothing in common must not become "all": no file name has this extension.
    return tuple(name for name in plan if name in own) or ("-",)


def _own_windows(own: Narrowing) -> tuple[Window, ...]:
    """A credential's windows count this credential only, whatever else they say."""
    quota = (
        () if own.daily_quota is None else (Window(most=own.daily_quota, per="day", quota=True),)
    )
    return tuple(
        window.model_copy(update={"by": "credential"}) if window.by == "account" else window
        for window in (*own.windows, *quota)
    )
