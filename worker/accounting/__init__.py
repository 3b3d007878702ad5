"""Writes the accounting log, and lets accounts in to fetch it."""
