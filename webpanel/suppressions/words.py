"""What the pages call reasons and scopes."""

from __future__ import annotations

from franking.mail.models import Suppression

REASONS = {
    "hard_bounce": "Hard bounce",
    "soft_bounce": "Soft bounces",
    "complaint": "Complaint",
    "unsubscribe": "Unsubscribed",
    "manual": "By hand",
}
SCOPES = {"account": "All mail", "domain": "Mail from one domain", "stream": "Mail of one stream"}


def scope(entry: Suppression) -> str:
    """`all mail`, `mail from example.com`, `stream news`."""
    if entry.scope == "domain":
        return f"mail from {entry.scope_name}"
    return f"stream {entry.scope_name}" if entry.scope == "stream" else "all mail"
