"""Every setting of every process, typed, in one place.

Sources, the strongest first: environment (`FRANKING_MAILLOG__PATH=…`), systemd credentials
(files in `$CREDENTIALS_DIRECTORY`, named `master_key` or `panel__secret_key`), the TOML file that
`FRANKING_SETTINGS` names (default `/etc/franking/franking.toml`), the defaults below.
An unknown key is an error: a typo must not silently become a default.
Secrets are `SecretStr`; `describe()` masks them, so the effective settings can be logged.
"""

from __future__ import annotations

import base64
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import make_url

from franking.accounting.config import Accounting
from franking.deliverability.config import Deliverability
from franking.dns.config import Dns
from franking.domains.config import Dkim, Dmarc
from franking.listeners import ListenerName, Listeners
from franking.mail.config import Bounces, Inbound, Suppressions
from franking.money.statements.config import Invoices
from franking.nodes.config import Metrics
from franking.notices.config import Notices
from franking.webhooks.config import Webhooks

DEFAULT_FILE = Path("/etc/franking/franking.toml")

Prefix = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,11}$")]
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]


class SettingsError(Exception):
    """The settings cannot be used; the text names each key and what is wrong with it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Brand(_Section):
    """What customers see of the operator."""

    name: str = "Franking"
    prefix: Prefix = Field("frank", description="starts every SMTP user name and API key")
    tag_header: str = Field("X-Franking-Tags", description="header that carries a message's tags")


class Panel(_Section):
    """The web panel."""

    url: str = Field("http://127.0.0.1:8025", description="its public address, without a final /")
    secret_key: SecretStr = Field(SecretStr(""), description="signs sessions; ≥ 32 characters")
    secure_cookies: bool = Field(True, description="off only for plain http on loopback")


class Smtp(_Section):
    """What the panel and the CLI tell customers about submission."""

    host: str = "localhost"
    ports: dict[ListenerName, int] = {
        "smtp": 25,
        "submission": 587,
        "submissions": 465,
        "alternate": 2525,
    }


class Policyd(_Section):
    """Sockets are `systemd:NAME`, `fd:N` or `unix:PATH` (see `franking.sockets`)."""

    auth_socket: str = "systemd:auth"
    policy_socket: str = "systemd:policy"
    threads: int = Field(8, ge=1, description="database look-ups at the same time")
    timeout: float = Field(3.0, gt=0, description="seconds for one decision, then a 4xx")


class Milterd(_Section):
    """Limits are applied before anything is parsed."""

    socket: str = "systemd:milter"
    workers: int = Field(0, ge=0, description="processes; 0 is one per core")
    max_header_bytes: int = Field(262_144, description="bytes of all header fields together")
    max_header_fields: int = Field(1_000, description="header fields of one message")
    max_message_bytes: int = Field(33_554_432, description="bytes; the same as message_size_limit")
    memory_limit: int = Field(2 << 30, description="bytes of address space per worker; 0 is none")


class Credentials(_Section):
    """SMTP user names and API keys."""

    reveal: bool = Field(
        False, description="keep secrets encrypted, so that the panel can show them again"
    )
    longest_overlap_days: int = Field(
        90, ge=0, description="days that the old secret may work after a rotation"
    )


class Protection(_Section):
    """What failed logins lead to; counted per source address and per account."""

    window: float = Field(900, gt=0, description="seconds after which failures are forgotten")
    free_failures: int = Field(5, ge=0, description="failures before answers are delayed")
    longest_delay: float = Field(
        4, ge=0, lt=9, description="seconds; Postfix gives up an answer after 10"
    )
    address_failures: int = Field(50, ge=1, description="then 454 for the address")
    account_failures: int = Field(200, ge=1, description="then 454, save for known clients")


class Overload(_Section):
    """When a node refuses new mail by itself (421), until it is below the threshold again."""

    queue_age: float = Field(0, ge=0, description="seconds of the oldest active message; 0 never")
    queue_length: int = Field(0, ge=0, description="messages in the active queue; 0 never")
    load_per_core: float = Field(0, ge=0, description="1-minute load average; 0 never")


class Housekeeping(_Section):
    """`franking-worker housekeeping`."""

    every: float = Field(1, gt=0, description="seconds between looks at held mail and the queue")
    alerts_every: float = Field(10, gt=0, description="seconds between looks at balances")


class Deposits(_Section):
    """What a customer may pay at once, in units of the plan's currency."""

    smallest: Decimal = Field(Decimal(5), gt=0, description="smallest payment")
    largest: Decimal = Field(Decimal(5000), le=10**9, description="largest payment")
    suggested: tuple[Decimal, ...] = Field(
        (Decimal(10), Decimal(25), Decimal(50), Decimal(100)), description="amounts to choose from"
    )
    bank_transfer: str = Field(
        "",
        description="where to send money, shown to customers; without it they are not offered it",
    )


class Stripe(_Section):
    """Payments by card; offered when both secrets are set (docs/deposits.md)."""

    secret_key: SecretStr = Field(SecretStr(""), description="sk_live_… or rk_live_…")
    webhook_secret: SecretStr = Field(SecretStr(""), description="whsec_… of the endpoint")
    api_base: str = Field("https://api.stripe.com", description="without a final /")


class Btcpay(_Section):
    """Payments by BTCPay Server; offered when all four are set (docs/deposits.md)."""

    url: str = Field("", description="of the server, without a final /")
    store_id: str = ""
    api_key: SecretStr = Field(SecretStr(""), description="may view and create invoices")
    webhook_secret: SecretStr = SecretStr("")


class Maillog(_Section):
    """Where Postfix logs and queues; read by the worker."""

    path: Path = Path("/var/log/franking/mail.log")
    queue_directory: Path = Path("/var/spool/postfix")
    config_directory: Path = Path("/etc/postfix")
    poll: float = Field(0.1, gt=0, description="seconds between looks at a quiet log")
    batch: int = Field(1000, ge=1, description="lines per transaction")
    rotate_bytes: int = Field(256 << 20, description="rotate the log above this size; 0 never")
    keep_days: int = Field(14, description="days to keep rotated logs")
    reconcile_after: float = Field(60, description="seconds a reservation may stay open unseen")
    reconcile_every: float = Field(10, description="seconds between two looks for such")


class Settings(BaseSettings):
    """All settings; immutable once loaded."""

    model_config = SettingsConfigDict(
        env_prefix="FRANKING_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    node: NodeName = Field("local", description="this relay node's name; part of every row's key")
    database_url: str = Field(
        "sqlite:////var/lib/franking/franking.db", description="SQLAlchemy URL"
    )
    master_key: SecretStr = Field(
        SecretStr(""), description="base64 of 32 bytes; encrypts DKIM private keys at rest"
    )
    old_master_key: SecretStr = Field(
        SecretStr(""), description="the one before it, until `franking master-key rewrap` is done"
    )
    log_level: str = "info"
    brand: Brand = Brand()
    panel: Panel = Panel()
    smtp: Smtp = Smtp()
    listeners: Listeners = Listeners()
    policyd: Policyd = Policyd()
    milterd: Milterd = Milterd()
    maillog: Maillog = Maillog()
    credentials: Credentials = Credentials()
    bounces: Bounces = Bounces()
    inbound: Inbound = Inbound()
    suppressions: Suppressions = Suppressions()
    dns: Dns = Dns()
    dkim: Dkim = Dkim()
    dmarc: Dmarc = Dmarc()
    deliverability: Deliverability = Deliverability()
    protection: Protection = Protection()
    overload: Overload = Overload()
    housekeeping: Housekeeping = Housekeeping()
    deposits: Deposits = Deposits()
    stripe: Stripe = Stripe()
    btcpay: Btcpay = Btcpay()
    invoices: Invoices = Invoices()
    notices: Notices = Notices()
    webhooks: Webhooks = Webhooks()
    accounting: Accounting = Accounting()
    metrics: Metrics = Metrics()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        credentials = NestedSecretsSettingsSource(file_secret_settings, secrets_prefix="")
        toml = TomlConfigSettingsSource(settings_cls, toml_file=cls.model_config.get("toml_file"))
        return init_settings, env_settings, credentials, toml

    def master_key_bytes(self) -> bytes:
        """The 32 bytes of `master_key`; SettingsError when it is not set or not 32 bytes."""
        return key_bytes("master_key", self.master_key.get_secret_value())

    def old_master_key_bytes(self) -> bytes | None:
        """Those of `old_master_key`; None when it is not set.  Raises SettingsError."""
        text = self.old_master_key.get_secret_value()
        return key_bytes("old_master_key", text) if text else None

    def describe(self) -> dict[str, Any]:
        """The effective settings as plain data, secrets masked: fit for a log line."""
        url = make_url(self.database_url).render_as_string(hide_password=True)
        return self.model_dump(mode="json") | {"database_url": url}


def key_bytes(name: str, text: str) -> bytes:
    """A master key; SettingsError, about `name`, when it is not the base64 of 32 bytes."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise SettingsError(f"{name} is not base64") from error
    if len(key) != 32:
        raise SettingsError(
            f"{name} must be the base64 of 32 bytes (make one: openssl rand -base64 32)"
        )
    return key


def load(path: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    `path` beats `$FRANKING_SETTINGS` beats `/etc/franking/franking.toml`; only the last may be
    absent.  Raises SettingsError, one line per wrong key.
    """
    chosen = path or (Path(p) if (p := os.environ.get("FRANKING_SETTINGS")) else None)
    if chosen is not None and not chosen.is_file():
        raise SettingsError(f"settings file {chosen} does not exist")
    file = chosen or DEFAULT_FILE

    class FileSettings(Settings):
        model_config = SettingsConfigDict(
            toml_file=file if file.is_file() else None,
            secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY") or None,
        )

    try:
        return FileSettings(**overrides)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise SettingsError(f"settings ({file}):\n  " + "\n  ".join(lines)) from error
    except ValueError as error:  # not TOML at all
        raise SettingsError(f"settings ({file}): {error}") from error
