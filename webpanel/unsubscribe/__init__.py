"""What the links in bulk mail lead to (RFC 8058)."""

from webpanel.unsubscribe.views import bp

__all__ = ["bp"]
