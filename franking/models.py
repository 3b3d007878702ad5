"""All tables in one import, for the engine that creates, migrates or inspects them."""

from franking.accounts.models import Account, AuditEntry, Credential, User
from franking.domains.models import DkimKey, Domain
from franking.mail.models import Event, LogPosition, Message, Recipient
from franking.money.models import Balance, LedgerEntry, Plan, PriceTier, Reservation
from franking.tables import Base

__all__ = [
    "Account",
    "AuditEntry",
    "Balance",
    "Base",
    "Credential",
    "DkimKey",
    "Domain",
    "Event",
    "LedgerEntry",
    "LogPosition",
    "Message",
    "Plan",
    "PriceTier",
    "Recipient",
    "Reservation",
    "User",
]
