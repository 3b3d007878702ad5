"""Prometheus asks every node on `metrics.listen`: the figures of `franking.status`, taken anew.

The database gives them, or says that it does not: `franking_up` is 0 then, and nothing else there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from franking import log, status
from franking.db import Database, utcnow
from franking.settings import Settings
from franking.status import Figure

PREFIX = "franking_"


class Figures(Collector):
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def describe(self) -> Iterable[Metric]:
        """Without this, registering would ask for everything once, for the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        try:
            with self._database.session() as session:
                found = list(status.figures(session, self._settings, utcnow()))
        except SQLAlchemyError as error:
            log.database_trouble("metrics", error)
            found = []
        yield GaugeMetricFamily(f"{PREFIX}up", "Whether the database answers.", bool(found))
        for _, same in groupby(found, lambda each: each.name):
            yield _metric(list(same))


def _metric(same: list[Figure]) -> Metric:
    first = same[0]
    family = CounterMetricFamily if first.type == "counter" else GaugeMetricFamily
    metric = family(PREFIX + first.name, first.help, labels=list(first.labels))
    for each in same:
        metric.add_metric(list(each.labels.values()), each.value)
    return metric


@contextmanager
def served(database: Database, settings: Settings) -> Iterator[int | None]:
    """While the block runs; gives the port, None when nobody is to be told."""
    if not settings.metrics.listen:
        yield None
        return
    address, _, port = settings.metrics.listen.rpartition(":")
    registry = CollectorRegistry()
    registry.register(Figures(database, settings))
    try:
        server, thread = start_http_server(int(port), address.strip("[]"), registry)
    except OSError as error:  # held mail is released all the same
        log.unexpected("metrics", error)
        yield None
        return
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
