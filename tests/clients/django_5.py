"""Sends one message as told on standard input, with the mail settings of Django 5.2."""

from __future__ import annotations

import json
import sys

from django.conf import settings
from django.core.mail import EmailMessage

order = json.load(sys.stdin)

settings.configure(
    EMAIL_HOST=order["host"],
    EMAIL_PORT=order["port"],
    EMAIL_HOST_USER=order["user"],
    EMAIL_HOST_PASSWORD=order["password"],
    EMAIL_USE_SSL=order["implicit_tls"],
    EMAIL_USE_TLS=not order["implicit_tls"],
    DEFAULT_FROM_EMAIL=f"Shop <{order['from']}>",
)

EmailMessage(order["subject"], order["text"], to=[order["to"]], headers=order["headers"]).send()
