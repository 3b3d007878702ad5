"""The two sockets: the only file here that knows asyncio streams.

One coroutine per connection, one question of it at a time: what Postfix sends meanwhile waits in
the kernel.  After a protocol error, and when no decision can or may be made, the connection is
closed without an answer.  Postfix makes 454 of that at AUTH; of a policy request, it asks again,
then says 451.

`stop` lets questions in flight finish.  The listening sockets belong to somebody else: closing
our descriptors does not close theirs, and clients wait there for our successor.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from socket import socket

from franking import log
from franking.db import Database, utcnow
from franking.mail.mailboxes import Mailboxes
from franking.settings import Settings
from franking.sockets import BACKLOG
from policyd import delegation, dovecot
from policyd.authenticate import Accepted, Unavailable, authenticate
from policyd.connections import Connections
from policyd.decide import Decider
from policyd.guard import Guard, Throttled
from policyd.inbound import Inbound
from policyd.journal import Journal
from policyd.node import NodeState
from policyd.pool import Pool

READ = 65_536  # octets
GRACE = 1.0  # seconds beyond the time limit of a decision


@dataclass(eq=False)
class _Peer:
    """A connection of one smtpd process; `busy` while it waits for us."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    busy: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Server:
    def __init__(self, settings: Settings, database: Database, journal: Journal) -> None:
        self._settings = settings
        self._database = database
        self._journal = journal
        self._connections = Connections()
        self._decider = Decider(
            database,
            NodeState(settings.node),
            self._connections,
            Inbound(Mailboxes.of(settings)),
        )
        self._mechanisms = settings.listeners.mechanisms()
        self._pool = Pool(settings.policyd.threads, settings.policyd.timeout)
        self._guard = Guard(database, settings.protection, self._pool, journal)
        self._listeners: list[asyncio.Server] = []
        self._peers: set[_Peer] = set()
        self._numbers = count(1)
        self._stopping = False

    async def start(self, auth: socket, policy: socket) -> None:
        await self._guard.start()
        for listener, serve in ((auth, self._auth), (policy, self._policy)):
            # asyncio calls listen() again, on a socket that others hold too: same backlog.
            self._listeners.append(
                await asyncio.start_unix_server(
                    self._connection(serve), sock=listener, backlog=BACKLOG
                )
            )

    async def stop(self) -> None:
        """Returns when the questions in flight are answered, or are overdue."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        self._guard.release()
        peers = list(self._peers)
        for peer in peers:
            if not peer.busy:
                peer.writer.close()
        if peers:
            leaving = [asyncio.ensure_future(peer.gone.wait()) for peer in peers]
            _, late = await asyncio.wait(leaving, timeout=self._settings.policyd.timeout + GRACE)
            for waiter in late:
                waiter.cancel()
        await self._guard.close()
        self._pool.close()

    def _connection(
        self, serve: Callable[[_Peer], Awaitable[None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = _Peer(reader, writer)
            self._peers.add(peer)
            try:
                await serve(peer)
            except (dovecot.ProtocolError, delegation.ProtocolError) as error:
                log.peer_fault(serve.__name__.strip("_"), error)
            except Unavailable as error:
                log.no_decision(serve.__name__.strip("_"), error)
            except (OSError, Throttled):
                pass  # the peer is gone, or shall be
            except Exception as error:  # a bug of ours is our trouble, not the client's
                log.unexpected(serve.__name__.strip("_"), error)
            finally:
                self._peers.discard(peer)
                peer.gone.set()
                writer.close()

        return connected

    async def _auth(self, peer: _Peer) -> None:
        dialogue = dovecot.Dialogue(
            pid=os.getpid(),
            number=next(self._numbers),
            cookie=secrets.token_hex(16),
            mechanisms=self._mechanisms,
        )
        peer.writer.write(dialogue.greeting())
        while not self._stopping and (data := await peer.reader.read(READ)):
            peer.busy = True
            for event in dialogue.receive(data):
                if isinstance(event, dovecot.Login):
                    await self._login(peer, dialogue, event)
                else:
                    peer.writer.write(event)
            await peer.writer.drain()
            peer.busy = False

    async def _login(self, peer: _Peer, dialogue: dovecot.Dialogue, login: dovecot.Login) -> None:
        await self._guard.admit(login)
        outcome = await self._pool.run(authenticate, self._database, login, utcnow())
        if isinstance(outcome, Accepted):
            self._guard.accepted(login)
            peer.writer.write(dialogue.ok(login.request_id, outcome.username))
            self._journal.used(outcome.use)
            return
        if outcome.refusal is not None:
            self._journal.refused(outcome.refusal)
        await self._guard.denied(login, outcome)
        peer.writer.write(dialogue.fail(login.request_id, outcome.reason, outcome.username))

    async def _policy(self, peer: _Peer) -> None:
        parser, process = delegation.Parser(), ""
        try:
            while not self._stopping and (data := await peer.reader.read(READ)):
                peer.busy = True
                for request in parser.receive(data):
                    process = request.process
                    await self._decide(peer, request)
                await peer.writer.drain()
                peer.busy = False
        finally:
            self._connections.process_ended(process)

    async def _decide(self, peer: _Peer, request: delegation.Request) -> None:
        now = utcnow()
        decision = await self._pool.run(self._decider.decide, request, now)
        peer.writer.write(delegation.encode(decision.action(self._settings.panel.url)))
        if decision.refusal is not None:
            self._journal.refused(decision.refusal)
        if decision.tally is not None:
            self._journal.counted(decision.tally)
        if decision.credential_id is not None and request.client_address:
            self._journal.greeted(
                decision.credential_id, request.client_address, request.helo_name, now
            )
