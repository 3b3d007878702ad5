"""Flask-Security and CSRF, set up once per application.

CSRF comes first: its check runs before anything else looks at a request.
"""

from __future__ import annotations

from flask import Flask
from flask_security import RoleMixin, Security
from flask_security.datastore import SQLAlchemySessionUserDatastore
from flask_wtf.csrf import CSRFProtect

from webpanel.database import db
from webpanel.user import PanelUser

csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    csrf.init_app(app)
    security = Security(app, SQLAlchemySessionUserDatastore(db.session, PanelUser, RoleMixin))
    # Else `POST /login?include_auth_token` hands out a token that opens every page, also as
    # `?auth_token=`, never expires and outlives the logout (flask_security/core.py).
    security.login_manager.request_loader(None)
