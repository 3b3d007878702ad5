"""Who may see a page: by default only who has logged in.

A view is open to everybody when it says `@public`; a view that forgets to say anything is closed.
Every POST needs a CSRF token, unless its view says `@signed`: the webhooks of payment providers,
which have no browser behind them, and links to unsubscribe, which mail programs post to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from webpanel.extensions import csrf

View = TypeVar("View", bound=Callable[..., Any])
OPEN = {"static", "security.login"}  # endpoints that are not ours to decorate


def public(view: View) -> View:
    """Mark a view as open to everybody; goes below `@bp.route`."""
    view.public = True  # type: ignore[attr-defined]
    return view


def signed(view: View) -> View:
    """Open to everybody, and without a CSRF token: the view checks a signature over what it is
    asked.

    Goes below `@bp.route`.
    """
    csrf.exempt(view)
    return public(view)


def init_app(app: Flask) -> None:
    app.before_request(_require_login)


def _require_login() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in OPEN or is_public(endpoint):
        return None
    if current_user.is_authenticated:
        return None
    wanted = request.method == "GET" and request.path != "/"
    back = request.full_path.rstrip("?") if wanted else None
    return redirect(url_for("security.login", next=back))


def is_public(endpoint: str) -> bool:
    return getattr(current_app.view_functions[endpoint], "public", False)
