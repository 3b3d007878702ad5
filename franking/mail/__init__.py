"""Messages: addresses, what happened to each message, and every text we say on the wire."""
