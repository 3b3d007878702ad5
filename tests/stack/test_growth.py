"""What is asked all day reads as many rows after a year as after a day: the plans of PostgreSQL.

`bench/growth.py` is the same with ten million events.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from franking import migrations
from franking.db import Database
from stack.cluster import Cluster
from tests import growth, history
from tests.history import Past

pytestmark = [pytest.mark.one_engine, pytest.mark.rest]

MESSAGES = 5_000
BOUND = 5_000  # rows; a page of 50 messages, or 500 that retention deletes


@pytest.fixture(scope="module")
def grown(cluster: Cluster) -> Iterator[tuple[Database, Past]]:
    database = Database(cluster.url)
    migrations.upgrade(database.engine)
    yield database, history.make(database, MESSAGES, datetime.now(UTC))
    database.close()


def test_every_question_is_an_index_look_up(grown: tuple[Database, Past]) -> None:
    database, past = grown
    asked = growth.hot(database, past)
    found = {name: growth.touched(database, ask, small=True) for name, ask in asked.items()}
    assert {name: figure for name, figure in found.items() if figure[0] > BOUND or figure[1]} == {}
