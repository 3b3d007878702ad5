"""Databases of their own in one PostgreSQL: after the migrations, not after `create_all`."""

from __future__ import annotations

import itertools

from sqlalchemy import make_url, text

from franking import patience
from franking.db import Database
from stack.cluster import Cluster

_numbers = itertools.count()


def database(cluster: Cluster, template: str = "template0") -> Database:
    """A copy of the template, to which nobody may be connected."""
    server, name = Database(cluster.url), f"fresh_{next(_numbers)}"
    with (
        patience.at_length(60),
        server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.execute(text("SET statement_timeout = 0"))  # it waits for the disk
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    server.close()
    url = make_url(cluster.url).set(database=name)
    return Database(url.render_as_string(hide_password=False))


def name_of(made: Database) -> str:
    return str(made.engine.url.database)
