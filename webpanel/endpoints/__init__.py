"""Webhooks: endpoints, their secrets, what was delivered to them, and sending it again."""

from webpanel.endpoints import (
    deliveries,
    replays,
    secrets,
    views,
)  # their views are the blueprint's
from webpanel.endpoints.about import bp

__all__ = ["bp", "deliveries", "replays", "secrets", "views"]
