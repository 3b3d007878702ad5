"""The server around the dialogs: what is written, what a broken database does, how it ends."""

from __future__ import annotations

import asyncio
import base64
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.db import Base, Database
from franking.mail.models import Event
from policyd import server as module
from policyd.authenticate import authenticate
from policyd.journal import Journal
from policyd.server import Server
from tests.policyd import dialog

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(sockets: Path, name: str = "auth") -> Connection:
    reader, writer = await asyncio.open_unix_connection(str(sockets / name))
    if name == "auth":
        await dialog.expect(reader, dialog.GREETING, "greeting")
        writer.write(dialog.HANDSHAKE)
    return reader, writer


async def login(connection: Connection, username: str, secret: str, number: int = 1) -> bytes:
    response = base64.b64encode(f"\0{username}\0{secret}".encode()).decode()
    facts = "service=submission\trip=192.0.2.7\tsecured"
    connection[1].write(f"AUTH\t{number}\tPLAIN\t{facts}\tresp={response}\n".encode())
    return await dialog.said(connection[0].readline())


async def ask(connection: Connection, **attributes: str) -> bytes:
    attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "instance": "1.2.3.4",
        "sender": "shop@example.com",
        "recipient": "someone@example.net",
        **attributes,
    }
    text = "".join(f"{name}={value}\n" for name, value in attributes.items())
    connection[1].write(text.encode() + b"\n")
    return await dialog.said(connection[0].readuntil(b"\n\n"))


async def test_refusals_and_last_use_are_in_the_database(
    server: Server, journal: Journal, database: Database, people: dict[str, str], sockets: Path
) -> None:
    auth, policy = await connect(sockets), await connect(sockets, "policy")
    assert (await login(auth, people["user"], "wrong")).startswith(b"FAIL\t1\t")
    assert (await login(auth, people["user"], people["secret"], 2)).startswith(b"OK\t2\t")
    for _ in range(2):  # Postfix asks again when the connection broke
        refused = await ask(policy, sasl_username=people["poor"])
        assert refused.startswith(b"action=554 5.7.1 Insufficient balance https://")
    await dialog.hang_up(auth[1])
    await dialog.hang_up(policy[1])
    journal.close()
    with database.session() as session:
        events = session.scalars(select(Event).order_by(Event.id)).all()
        assert [(event.kind, event.smtp_code) for event in events] == [
            ("rejected", 535),
            ("rejected", 554),
        ]
        user = session.scalars(select(Credential).where(Credential.username == people["user"]))
        assert user.one().last_used_ip == "192.0.2.7"


async def test_a_revoked_key_is_refused_on_the_open_connection(
    server: Server, database: Database, people: dict[str, str], sockets: Path
) -> None:
    auth, policy = await connect(sockets), await connect(sockets, "policy")
    assert (await login(auth, people["user"], people["secret"])).startswith(b"OK")
    assert await ask(policy, sasl_username=people["user"]) == b"action=DUNNO\n\n"
    with database.transaction() as session:
        credentials.revoke(session, accounts.get(session, "user"), people["user"])
    assert b"reason=this API key was revoked" in await login(
        auth, people["user"], people["secret"], 2
    )
    assert b"API key revoked" in await ask(policy, sasl_username=people["user"])
    await dialog.hang_up(auth[1])
    await dialog.hang_up(policy[1])


async def test_without_the_database_there_is_no_answer_and_then_it_recovers(
    server: Server, database: Database, people: dict[str, str], sockets: Path
) -> None:
    table = Base.metadata.tables["credential"]
    with database.transaction() as session:
        session.connection().exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO away")
    auth, policy = await connect(sockets), await connect(sockets, "policy")
    assert await login(auth, people["user"], people["secret"]) == b""
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await ask(policy, sasl_username=people["user"])
    assert caught.value.partial == b""
    await dialog.hang_up(auth[1])
    await dialog.hang_up(policy[1])
    with database.transaction() as session:
        session.connection().exec_driver_sql(f"ALTER TABLE away RENAME TO {table.name}")
    auth, policy = await connect(sockets), await connect(sockets, "policy")
    assert (await login(auth, people["user"], people["secret"])).startswith(b"OK")
    assert await ask(policy, sasl_username=people["user"]) == b"action=DUNNO\n\n"
    await dialog.hang_up(auth[1])
    await dialog.hang_up(policy[1])


async def test_a_bug_of_ours_is_no_refusal(
    server: Server, people: dict[str, str], sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "authenticate", lambda *_: 1 / 0)
    auth = await connect(sockets)
    assert await login(auth, people["user"], people["secret"]) == b""
    await dialog.hang_up(auth[1])


async def test_stop_answers_what_was_asked_and_leaves_the_socket_file(
    server: Server, people: dict[str, str], sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, release = threading.Event(), threading.Event()

    def slow(*arguments: object) -> object:
        asked.set()
        release.wait()
        return authenticate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "authenticate", slow)
    busy, idle = await connect(sockets), await connect(sockets)
    answer = asyncio.create_task(login(busy, people["user"], people["secret"]))
    await asyncio.to_thread(asked.wait)
    stopping = asyncio.create_task(server.stop())
    assert await dialog.said(idle[0].read()) == b""
    assert not stopping.done()
    release.set()
    assert (await answer).startswith(b"OK\t1\t")
    assert await dialog.said(busy[0].read()) == b""
    await stopping
    assert (sockets / "auth").is_socket()
    await dialog.hang_up(busy[1])
    await dialog.hang_up(idle[1])
