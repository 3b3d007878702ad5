"""Suppressions: the list, entries by hand, and files in both directions."""

from webpanel.suppressions import files
from webpanel.suppressions.views import bp

__all__ = ["bp", "files"]
