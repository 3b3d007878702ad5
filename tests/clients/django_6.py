"""Sends one message as told on standard input, with the MAILERS of Django 6.1."""

from __future__ import annotations

import json
import sys

from django.conf import settings
from django.core.mail import EmailMessage

order = json.load(sys.stdin)

settings.configure(
    MAILERS={
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {
                "host": order["host"],
                "port": order["port"],
                "username": order["user"],
                "password": order["password"],
                "use_ssl": order["implicit_tls"],
                "use_tls": not order["implicit_tls"],
            },
        },
    },
    DEFAULT_FROM_EMAIL=f"Shop <{order['from']}>",
)

EmailMessage(order["subject"], order["text"], to=[order["to"]], headers=order["headers"]).send(
    using="default"
)
