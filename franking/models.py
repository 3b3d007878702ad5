"""All tables in one import, for the engine that creates, migrates or inspects them."""

from franking.accounting.models import AccountingFile, SftpAccess
from franking.accounts.models import (
    Account,
    AuditEntry,
    AuthFailure,
    Credential,
    CredentialUse,
    RateCounter,
    User,
)
from franking.deliverability.models import NodeCheck
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.domains.models import DkimKey, DnsCheck, Domain, UsedSelector, ZoneEntry
from franking.mail.models import (
    Event,
    EventReader,
    HeldMessage,
    IdempotencyKey,
    LogPosition,
    Message,
    MessageAlias,
    Recipient,
    SoftFailure,
    Stream,
    Suppression,
)
from franking.mail.tags import MessageTag
from franking.money.billing.models import BillingSettings
from franking.money.deposits.models import Deposit, ProviderEvent, SavedCard
from franking.money.models import Balance, LedgerEntry, Plan, PriceList, Reservation
from franking.money.statements.models import ChargeDay, Invoice, UsageDay
from franking.nodes.models import AddressBlock, Duty, Node, Tally
from franking.notices.models import Notice
from franking.tables import Base
from franking.webhooks.models import Attempt, Delivery, Endpoint, Replay

__all__ = [
    "Account",
    "AccountingFile",
    "AddressBlock",
    "Attempt",
    "AuditEntry",
    "AuthFailure",
    "Balance",
    "Base",
    "BillingSettings",
    "ChargeDay",
    "Credential",
    "CredentialUse",
    "Delivery",
    "Deposit",
    "DkimKey",
    "DmarcReport",
    "DmarcRow",
    "DmarcSource",
    "DnsCheck",
    "Domain",
    "Duty",
    "Endpoint",
    "Event",
    "EventReader",
    "HeldMessage",
    "IdempotencyKey",
    "Invoice",
    "LedgerEntry",
    "LogPosition",
    "Message",
    "MessageAlias",
    "MessageTag",
    "Node",
    "NodeCheck",
    "Notice",
    "Plan",
    "PriceList",
    "ProviderEvent",
    "RateCounter",
    "Recipient",
    "Replay",
    "Reservation",
    "SavedCard",
    "SftpAccess",
    "SoftFailure",
    "Stream",
    "Suppression",
    "Tally",
    "UsageDay",
    "UsedSelector",
    "User",
    "ZoneEntry",
]
