"""Money: plans and prices, a double-entry ledger in micro-units, reservations."""
