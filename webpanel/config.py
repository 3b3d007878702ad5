"""From Franking's settings to Flask's and its extensions' configuration.

One secret is configured; the salt that Flask-Security wants beside it is derived.  The cookie's
`__Host-` name makes browsers refuse it without Secure, with a Domain, or with another path
(RFC 6265bis §4.1.3.2).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from franking.settings import Settings, SettingsError

SHORTEST_SECRET = 32


def flask_config(settings: Settings) -> dict[str, Any]:
    """Raises SettingsError when `panel.secret_key` is missing or short."""
    secret = settings.panel.secret_key.get_secret_value()
    if len(secret) < SHORTEST_SECRET:
        raise SettingsError(
            f"panel.secret_key must have at least {SHORTEST_SECRET} characters"
            " (make one: openssl rand -hex 32)"
        )
    return {
        "SECRET_KEY": secret,
        "MAX_CONTENT_LENGTH": 1 << 20,  # bytes; no page takes more than a short form
        **_cookies(settings.panel.secure_cookies),
        **_security(hmac.new(secret.encode(), b"password salt", hashlib.sha256).hexdigest()),
        # As long as the session: a page left open over lunch still submits.
        "WTF_CSRF_TIME_LIMIT": None,
    }


def _cookies(secure: bool) -> dict[str, Any]:
    host = "__Host-" if secure else ""
    return {
        f"{cookie}_COOKIE_{name}": value
        for cookie, title in (("SESSION", "session"), ("REMEMBER", "remember"))
        for name, value in (
            ("NAME", f"{host}{title}"),
            ("SECURE", secure),
            ("HTTPONLY", True),
            ("SAMESITE", "Lax"),
        )
    }


def _security(salt: str) -> dict[str, Any]:
    """Login by e-mail and nothing else: accounts and their people are made by the operator."""
    return {
        "SECURITY_PASSWORD_SALT": salt,
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_DEPRECATED_PASSWORD_SCHEMES": [],
        # The plain PHC string that franking.accounts.users writes, with its parameters: others
        # would be rehashed at the next login.
        "SECURITY_PASSWORD_SINGLE_HASH": True,
        "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": {
            "argon2__time_cost": 2,
            "argon2__memory_cost": 19_456,
            "argon2__parallelism": 1,
        },
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False, "test_environment": True},
        "SECURITY_JOIN_USER_ROLES": False,  # there are none
        "SECURITY_REGISTERABLE": False,
        "SECURITY_RECOVERABLE": False,
        "SECURITY_CONFIRMABLE": False,
        "SECURITY_TRACKABLE": False,
        "SECURITY_CHANGEABLE": False,
        "SECURITY_FRESHNESS": timedelta(minutes=-1),  # no page /verify: nothing asks for it
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_RETURN_GENERIC_RESPONSES": True,  # a stranger cannot tell which addresses exist
        "SECURITY_FLASH_MESSAGES": False,
        "SECURITY_POST_LOGIN_VIEW": "overview.index",
        "SECURITY_POST_LOGOUT_VIEW": "security.login",
    }
