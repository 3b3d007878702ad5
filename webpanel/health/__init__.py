"""For load balancers and monitoring."""

from webpanel.health.views import bp

__all__ = ["bp"]
