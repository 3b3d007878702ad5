"""Why a rule said no.

Business functions raise one of these; the CLI prints it, the panel puts it beside the field,
the API turns it into a problem document.  The text is for the person who has to fix it.
"""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """Base of all named reasons; `str()` is a sentence fit to show to the customer."""


class NotFound(Refused):
    """No such row, or it belongs to another account: the two are not told apart."""


class Invalid(Refused):
    """The input cannot be used as it is.

    `fields`: what is wrong with which input, where that is known; `str()` says it all.
    """

    def __init__(self, sentence: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.fields = dict(fields or {})

    @classmethod
    def of(cls, field: str, sentence: str) -> Invalid:
        """It is about this one input."""
        return cls(sentence, {field: sentence})


class Taken(Refused):
    """The name exists already."""


class InsufficientBalance(Refused):
    """The account cannot pay for this message."""


class CapReached(Refused):
    """The customer's own cap on a day's spending; money is there.  `whose`: account or API key."""

    def __init__(self, whose: str) -> None:
        super().__init__(f"Daily spending cap of this {whose} reached")
        self.whose = whose


class PriceMoved(Refused):
    """So much was sent meanwhile that the next price may hold; the next attempt sees it."""


class AccountSuspended(Refused):
    """The account may not send at present."""
