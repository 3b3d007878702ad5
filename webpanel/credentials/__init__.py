"""SMTP credentials: create, show once, revoke."""

from webpanel.credentials.views import bp

__all__ = ["bp"]
