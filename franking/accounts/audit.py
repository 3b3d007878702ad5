"""The audit trail: who changed what.  Written in the transaction of the change itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from franking.accounts.models import AuditEntry


def record(
    session: Session, account_id: int | None, actor: str, action: str, **detail: Any
) -> None:
    """`actor` is a user's e-mail address or `cli:<system user>`; `action` is `noun.verb`."""
    session.add(AuditEntry(account_id=account_id, actor=actor, action=action, detail=detail))
