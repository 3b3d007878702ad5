"""The rules and the data model that every process of the relay shares.

A folder per subject, its models beside its rules: `accounts`, `domains`, `money`, `mail`.
Functions take a SQLAlchemy `Session`, return values or raise a named reason
(`franking.reasons`), and never commit: the caller owns the transaction.
Nothing here imports Flask, Milter or asyncio, and nothing happens at import
(`tests/test_layout.py` holds both).
"""

__version__ = "0.1.0"
