"""A domain that is suspended, removed, or gone with its account: what its mail is told."""

from __future__ import annotations

from datetime import datetime

from sessions import log_in, offer, refused_login
from sqlalchemy import select

from franking.accounts import account as accounts
from franking.db import utcnow
from franking.domains import life, ownership
from franking.domains.models import Domain
from stack.running import RunningStack, Sender

REFUSED = "550 5.7.1 From domain {} is not verified for this account"


def suspend(stack: RunningStack, sender: Sender, at: datetime | None) -> None:
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        domain = ownership.get(session, account, sender.domain)
        domain.verified_by, domain.suspended_at = "dns", at


def test_mail_of_a_suspended_domain_is_refused_until_it_is_restored(stack: RunningStack) -> None:
    """In a session that goes on: nothing of it is remembered."""
    sender = stack.sender("suspended")
    with log_in(stack, sender) as client:
        assert offer(client, sender).startswith("250 ")
        suspend(stack, sender, utcnow())
        said = offer(client, sender)
        assert said.startswith(REFUSED.format(sender.domain)) and "/e/from_not_verified" in said
        suspend(stack, sender, None)
        assert offer(client, sender).startswith("250 ")


def test_with_its_account_everything_of_a_domain_is_gone(stack: RunningStack) -> None:
    sender = stack.sender("closing")
    with log_in(stack, sender) as client:
        assert offer(client, sender).startswith("250 ")
        stack.cli("domain", "remove", sender.domain, "--account", sender.account, "--yes")
        assert offer(client, sender).startswith(REFUSED.format(sender.domain))
        stack.cli("account", "close", sender.account, "--yes")
        assert not offer(client, sender).startswith("250 ")
    assert refused_login(stack, sender.username, sender.secret).startswith("535 5.7.8 ")


def test_the_worker_looks_at_what_was_added(stack: RunningStack) -> None:
    """Nobody answers it here, so nothing changes."""
    sender = stack.sender("looked-at")

    def looked_at() -> Domain | None:
        with stack.database.session() as session:
            found = select(Domain).where(
                Domain.name == sender.domain, Domain.checked_at.is_not(None)
            )
            return session.scalar(found)

    domain = stack.until(looked_at)
    assert life.state(domain) == "verified"
    assert domain.check_due_at is not None and domain.check_due_at > utcnow()
