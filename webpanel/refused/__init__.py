"""What was refused before it became a message."""

from webpanel.refused.views import bp

__all__ = ["bp"]
