"""From Postfix's log to money and events: parse, follow, settle, reconcile, rotate."""
