"""The web panel: what a customer sees of their account.

`create_app` puts the pieces together; nothing happens at import.  Every area is a folder with its
`views.py`: a view loads with a function of `franking` that takes the account of the logged-in
user, and renders.  What is foreign does not exist (404).  Pages need a login unless their view
says `@public` (`webpanel.access`); every POST needs a CSRF token, save for the signed webhooks of
payment providers and links to unsubscribe (`@signed`).
"""

from __future__ import annotations

from flask import Flask

from franking import sealing
from franking.money.deposits.providers import offered
from franking.settings import Settings, load
from webpanel import (
    access,
    accounting,
    billing,
    config,
    credentials,
    database,
    display,
    domains,
    endpoints,
    errors,
    extensions,
    headers,
    health,
    help,
    messages,
    overview,
    payments,
    refused,
    replies,
    suppressions,
    unsubscribe,
)

AREAS = (
    overview, domains, credentials, messages, refused, suppressions, endpoints, accounting, billing,
    payments, replies, help, health, unsubscribe,
)  # fmt: skip


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application; without `settings` they are read as every process reads them."""
    chosen = settings or load()
    app = Flask(__name__)
    app.config.update(config.flask_config(chosen))
    app.extensions["franking.settings"] = chosen
    app.extensions["franking.providers"] = offered(chosen)
    app.extensions["franking.sealer"] = sealing.for_credentials(chosen)
    database.init_app(app, chosen.database_url)
    extensions.init_app(app)
    access.init_app(app)
    headers.init_app(app)
    errors.init_app(app)
    display.init_app(app, chosen)
    domains.looking.init_app(app, chosen)
    for area in AREAS:
        app.register_blueprint(area.bp)
    return app
