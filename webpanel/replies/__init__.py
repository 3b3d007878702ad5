"""The public page behind the address in each of our SMTP replies."""

from webpanel.replies.views import bp

__all__ = ["bp"]
