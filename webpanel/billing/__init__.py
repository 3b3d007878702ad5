"""Money: the balance, what became of it, what was used, payments, statements, and what to watch."""

# Their views are the blueprint's, too.
from webpanel.billing import deposits, documents, ledger, settings, usage
from webpanel.billing.views import bp

__all__ = ["bp", "deposits", "documents", "ledger", "settings", "usage"]
