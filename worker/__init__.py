"""Everything after the 250: what Postfix's log, mail and the outbox ask for."""
