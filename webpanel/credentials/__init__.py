"""SMTP credentials: create, show once, restrict, rotate, revoke."""

from webpanel.credentials import secrets, streams  # their views are the blueprint's too
from webpanel.credentials.views import bp

__all__ = ["bp", "secrets", "streams"]
