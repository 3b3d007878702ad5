"""The first page: what is left, what happened today, what went wrong, how to connect."""

from webpanel.overview.views import bp

__all__ = ["bp"]
