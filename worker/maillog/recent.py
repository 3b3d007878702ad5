"""What earlier lines said that later lines need; bounded, and lost without harm at a restart.

* who sent a queue file (smtpd's `client=` line), to notice mail of a client without a reservation
* under which queue ID a message began before `postsuper -r` gave it another
* which TLS the delivery agent's process has just set up: Postfix before 3.11 does not log it with
  the delivery, but in the line before, without a queue ID
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from worker.maillog.records import Client, Delivery, Record, Requeued, Secured

LIMIT = 50_000
CHAIN = 20  # times a message may have been requeued

Value = TypeVar("Value")


class Bounded(OrderedDict[str, Value], Generic[Value]):
    """A dict that forgets its oldest entries."""

    def __setitem__(self, key: str, value: Value) -> None:
        super().__setitem__(key, value)
        if len(self) > LIMIT:
            self.popitem(last=False)


class Recent:
    def __init__(self) -> None:
        self.clients: Bounded[str] = Bounded()
        self._originals: Bounded[str] = Bounded()
        self._secured: Bounded[tuple[str, str, str | None]] = Bounded()

    def learn(self, record: Record | None) -> None:
        if isinstance(record, Client) and record.username is not None:
            self.clients[record.queue_id] = record.username
        elif isinstance(record, Requeued):
            self._originals[record.queue_id] = record.original
        elif isinstance(record, Secured):
            self._secured[str(record.pid)] = (record.relay, record.tls, None)

    def original(self, queue_id: str) -> str:
        """The queue ID under which the message was accepted."""
        for _ in range(CHAIN):
            earlier = self._originals.get(queue_id)
            if earlier is None:
                break
            queue_id = earlier
        return queue_id

    def tls(self, delivery: Delivery) -> str | None:
        """What protected this attempt, as Postfix logged it; None also when it did not say."""
        if delivery.tls is not None:
            return delivery.tls
        relay, tls, queue_id = self._secured.get(str(delivery.pid), ("", "", None))
        if relay != delivery.relay or queue_id not in (None, delivery.queue_id):
            self._secured.pop(str(delivery.pid), None)  # the process has gone on to another peer
            return None
        self._secured[str(delivery.pid)] = (relay, tls, delivery.queue_id)
        return tls
