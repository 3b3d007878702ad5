"""All tables in one import, for the engine that creates, migrates or inspects them."""

from franking.accounts.models import (
    Account,
    AuditEntry,
    AuthFailure,
    Credential,
    CredentialUse,
    RateCounter,
    User,
)
from franking.domains.models import DkimKey, Domain
from franking.mail.models import (
    Event,
    HeldMessage,
    IdempotencyKey,
    LogPosition,
    Message,
    MessageAlias,
    Recipient,
    Suppression,
)
from franking.money.models import Balance, LedgerEntry, Plan, PriceTier, Reservation
from franking.nodes.models import Node
from franking.tables import Base

__all__ = [
    "Account",
    "AuditEntry",
    "AuthFailure",
    "Balance",
    "Base",
    "Credential",
    "CredentialUse",
    "DkimKey",
    "Domain",
    "Event",
    "HeldMessage",
    "IdempotencyKey",
    "LedgerEntry",
    "LogPosition",
    "Message",
    "MessageAlias",
    "Node",
    "Plan",
    "PriceTier",
    "RateCounter",
    "Recipient",
    "Reservation",
    "Suppression",
    "User",
]
