"""Pages that explain: which domain to send from, how mail arrives, how records are added."""

from webpanel.help.views import bp

__all__ = ["bp"]
