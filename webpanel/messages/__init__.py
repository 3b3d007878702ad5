"""Accepted messages: a filtered list, and everything about one."""

from webpanel.messages.views import bp

__all__ = ["bp"]
