"""Sending domains: who owns them, the keys that sign for them."""
