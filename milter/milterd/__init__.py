"""The milter: validates, tags, signs, charges and records a message before Postfix keeps it."""
