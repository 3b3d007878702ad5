"""The accounting log: files of an account's events, to be fetched (docs/accounting-log.md)."""
