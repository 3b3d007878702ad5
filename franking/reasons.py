"""Why a rule said no.

Business functions raise one of these; the CLI prints it, the panel puts it beside the field,
the API turns it into a problem document.  The text is for the person who has to fix it.
"""


class Refused(Exception):
    """Base of all named reasons; `str()` is a sentence fit to show to the customer."""


class NotFound(Refused):
    """No such row, or it belongs to another account: the two are not told apart."""


class Invalid(Refused):
    """The input cannot be used as it is."""


class Taken(Refused):
    """The name exists already."""


class InsufficientBalance(Refused):
    """The account cannot pay for this message."""


class AccountSuspended(Refused):
    """The account may not send at present."""
