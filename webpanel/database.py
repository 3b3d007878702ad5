"""The panel's sessions: one for reading per request, one transaction per change.

Flask-SQLAlchemy makes the engine and `reading`, the request's session, opened at its first use and
closed with the request; Flask-Security loads its user through it, so the user's account is at home
in it.  The engine is set up by `franking.db`, so that SQLite's BEGIN IMMEDIATE and the lock
timeouts hold here too.  What is changed through `reading` is lost: change inside `writing()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import Flask, current_app
from flask_security import current_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Base, Database, engine_options

_KEY = "franking.database"

db = SQLAlchemy(model_class=Base)
reading = cast(Session, db.session)  # a scoped_session: the same methods


def init_app(app: Flask, url: str) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url)
    db.init_app(app)
    with app.app_context():
        app.extensions[_KEY] = Database(db.engine)


def database() -> Database:
    """For what opens its own transactions."""
    return cast(Database, current_app.extensions[_KEY])


@contextmanager
def writing() -> Iterator[Session]:
    """A transaction: commits at the end of the block, rolls back when it raises."""
    with database().transaction() as session:
        yield session


def own_account(session: Session) -> Account:
    """The logged-in user's account, in the session that is to change something of it."""
    return session.get_one(Account, current_user.account_id)


def check() -> None:
    """Ask the database anything; raises SQLAlchemyError when it does not answer."""
    reading.execute(text("SELECT 1"))
