"""Payments on their way: the page of one, and what payment providers tell."""

from webpanel.payments import webhooks  # its views are the blueprint's too
from webpanel.payments.views import bp

__all__ = ["bp", "webhooks"]
