"""The callbacks under pymilter's own test context, with a real database behind them."""

from __future__ import annotations

from collections.abc import Iterator

import Milter
import pytest
from Milter.testctx import TestCtx
from sqlalchemy import select

from franking.db import Base, Database
from franking.domains.config import Dmarc
from franking.mail import cap
from franking.mail.config import Bounces
from franking.mail.models import Event, Message, Recipient
from franking.mail.returnpath import ReturnPaths
from franking.money.models import Reservation
from franking.settings import Settings
from milterd.callbacks import session_factory
from milterd.office import Office
from tests import factories

TestCtx.__test__ = False
RECENT = "zzzzzz3y9Gz1sKp"  # a queue ID of the year 2596
HEADERS = [("From", b" a@example.com"), ("X-Franking-Tags", b" one")]


class Context(TestCtx):  # type: ignore[misc]
    """pymilter's, with changes kept in order and macros known in every step."""

    def __init__(self) -> None:
        super().__init__()
        self._stage = -1
        self.changes: list[tuple[object, ...]] = []

    def getsymval(self, name: str) -> str | None:
        return self._macros.get(name)

    def addheader(self, field: str, value: str, idx: int) -> None:
        self.changes.append(("add", field, value, idx))

    def chgheader(self, field: str, idx: int, value: str | None) -> None:
        self.changes.append(("change", field, idx, value))

    def chgfrom(self, sender: str, parameters: str | None) -> None:
        self.changes.append(("sender", sender, parameters))

    def addrcpt(self, recipient: str, _: None = None) -> None:
        self.changes.append(("to", recipient))

    def delrcpt(self, recipient: str) -> None:
        self.changes.append(("not to", recipient))


@pytest.fixture
def username(database: Database) -> str:
    with database.transaction() as session:
        owner = factories.funded(session, amount=2 * factories.PRICE)
        factories.verified_domain(session, owner)
        return factories.credential(session, owner).credential.username


@pytest.fixture
def office(settings: Settings, database: Database) -> Office:
    return Office(settings, database)


@pytest.fixture
def context(office: Office, username: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setattr(Milter, "factory", session_factory(office))
    ctx = Context()
    assert ctx._connect() == Milter.CONTINUE
    ctx._priv.hello("client.example")
    ctx._macros |= {"i": "QID", "{auth_authen}": username, "{client_addr}": "192.0.2.1"}
    yield ctx
    ctx._close()


def send(ctx: Context, headers: list[tuple[str, bytes]] = HEADERS) -> int:
    session = ctx._priv
    steps = [
        session.envfrom_bytes(b"<bounce@example.com>"),
        session.envrcpt_bytes(b"<r@dest.example>"),
        *[session.header_bytes(name, value) for name, value in headers],
        session.body(b"hello\r\n"),
    ]
    assert set(steps) == {Milter.NOREPLY}
    result: int = session.eom()
    return result


def test_only_what_is_needed_is_asked_for(context: Context) -> None:
    protocol = context._priv._protocol
    for needed in (Milter.P_HDR_LEADSPC, Milter.P_NR_MAIL, Milter.P_NR_RCPT, Milter.P_NR_HDR,
                   Milter.P_NR_BODY, Milter.P_NR_HELO, Milter.P_NOCONNECT, Milter.P_NODATA,
                   Milter.P_NOEOH, Milter.P_NOUNKNOWN):  # fmt: skip
        assert protocol & needed
    for unwanted in (Milter.P_NOMAIL, Milter.P_NORCPT, Milter.P_NOHDRS, Milter.P_NOBODY):
        assert not protocol & unwanted


def test_accepted(context: Context, database: Database) -> None:
    assert send(context) == Milter.CONTINUE
    kinds = [(change[0], change[1]) for change in context.changes]
    assert kinds == [
        ("change", "X-Franking-Tags"),
        ("add", "Date"),
        ("add", "Message-ID"),
        ("add", "Feedback-ID"),
        ("add", "DKIM-Signature"),
    ]
    assert "\r" not in str(context.changes)
    with database.session() as session:
        message = session.scalars(select(Message)).one()
        assert (message.queue_id, message.tags, message.client_ip) == ("QID", ["one"], "192.0.2.1")
        assert message.client_helo == "client.example"
        assert session.scalars(select(Recipient.address)).all() == ["r@dest.example"]
        assert session.scalars(select(Reservation.amount)).all() == [factories.PRICE]


def test_a_refusal_is_said_and_recorded(context: Context, database: Database) -> None:
    assert send(context, [("From", b" a@other.example")]) == Milter.REJECT
    code, enhanced, text = context._reply
    assert (code, enhanced) == ("550", "5.7.1")
    assert text == (
        "From domain other.example is not verified for this account"
        " https://panel.example.net/e/from_not_verified"
    )
    with database.session() as session:
        event = session.scalars(select(Event)).one()
        assert (event.kind, event.smtp_code, event.sender) == ("rejected", 550, "a@other.example")
        assert event.detail["queue_id"] == "QID"


def test_percent_signs_are_doubled(context: Context) -> None:
    assert send(context, [("From", b" a@50%.example.com")]) == Milter.REJECT
    assert "50%%.example.com" in context._reply[2]


def test_the_last_money_is_spent_once(context: Context, database: Database) -> None:
    results = []
    for number in range(3):
        context._macros["i"] = f"QID{number}"
        results.append(send(context))
    assert results == [Milter.CONTINUE, Milter.CONTINUE, Milter.REJECT]
    assert context._reply[0:2] == ("554", "5.7.1")
    assert context._reply[2].startswith("Insufficient balance http")
    with database.session() as session:
        assert len(session.scalars(select(Reservation)).all()) == 2


def test_a_queue_id_twice_is_temporary(context: Context, database: Database) -> None:
    assert send(context) == Milter.CONTINUE
    assert send(context) == Milter.TEMPFAIL
    assert context._reply[0:2] == ("451", "4.3.0")
    with database.session() as session:
        assert len(session.scalars(select(Reservation)).all()) == 1


def test_nobody_logged_in(context: Context) -> None:
    del context._macros["{auth_authen}"]
    assert send(context) == Milter.REJECT
    assert context._reply[0:2] == ("530", "5.7.1")


def test_without_a_queue_id_nothing_is_accepted(context: Context) -> None:
    del context._macros["i"]
    assert send(context) == Milter.TEMPFAIL


def test_an_end_without_a_beginning_is_temporary(context: Context) -> None:
    assert context._priv.eom() == Milter.TEMPFAIL
    assert context._reply[0:2] == ("451", "4.3.0")


@pytest.mark.parametrize("step", ["recipient", "header", "body", "judge"])
def test_a_bug_is_temporary_and_not_contagious(
    context: Context, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(f"milterd.message.Message.{step}", lambda *_: 1 / 0)
        assert send(context) == Milter.TEMPFAIL
        assert context.changes == []
    assert send(context) == Milter.CONTINUE


def test_no_database_is_temporary(
    context: Context, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        with database.session() as session:
            session.connection().exec_driver_sql("select * from no_such_table")

    monkeypatch.setattr("franking.mail.acceptance.accept", locked)
    assert send(context) == Milter.TEMPFAIL


def test_a_failed_record_does_not_change_the_reply(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("franking.mail.events.record_refusal", lambda *_, **__: 1 / 0)
    assert send(context, [("From", b" a@other.example")]) == Milter.REJECT


def test_a_loop_of_refusals_does_not_fill_the_table(context: Context, database: Database) -> None:
    for _ in range(cap.REFUSALS + 5):
        send(context, [("From", b" a@other.example")])
    with database.session() as session:
        assert len(session.scalars(select(Event)).all()) == cap.REFUSALS


def test_mail_to_ourselves_passes_untouched_and_for_free(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings.model_copy(
        update={"dmarc": Dmarc(reports="reports.example"), "bounces": Bounces(domain="b.example")}
    )
    paths = ReturnPaths(factories.MASTER_KEY, "b.example")
    monkeypatch.setattr(Milter, "factory", session_factory(Office(own, database)))
    ctx = Context()
    ctx._connect()
    ctx._macros |= {"i": "QID", "{client_addr}": "192.0.2.9"}

    def offer(*recipients: bytes, header: str = "Subject") -> int:
        ctx._priv.envfrom_bytes(b"<noreply@receiver.example>")
        for recipient in recipients:
            ctx._priv.envrcpt_bytes(recipient)
        ctx._priv.header_bytes(header, b" report")
        ctx._priv.body(b"hello\r\n")
        result: int = ctx._priv.eom()
        return result

    assert offer(b"<f00@reports.example>") == Milter.CONTINUE
    assert offer(b"<f00@reports.example>", b"<a@dest.example>") == Milter.REJECT
    assert offer(b"<postmaster>") == Milter.REJECT
    assert offer(b"<f00@reports.example>", header="Delivered-To") == Milter.REJECT
    assert ctx.changes == []
    ours, elsewhere = (paths.address(RECENT, d) for d in (None, "bounce.customer.example"))
    assert offer(f"<{ours}>".encode()) == Milter.CONTINUE
    assert ctx.changes == []
    assert offer(f"<{elsewhere}>".encode()) == Milter.CONTINUE
    assert ctx.changes == [("not to", elsewhere), ("to", ours)]
    with database.session() as session:
        assert session.scalars(select(Message)).all() == []
        assert session.scalars(select(Event)).all() == []
    Base.metadata.drop_all(database.engine)
    assert offer(f"<{ours}>".encode()) == Milter.CONTINUE
    ctx._close()


def test_a_return_path_goes_with_an_envelope_id(
    username: str, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings.model_copy(update={"bounces": Bounces(domain="b.example")})
    monkeypatch.setattr(Milter, "factory", session_factory(Office(own, database)))
    ctx = Context()
    ctx._connect()
    ctx._macros |= {"i": RECENT, "{auth_authen}": username}
    assert send(ctx) == Milter.CONTINUE
    paths = ReturnPaths(factories.MASTER_KEY, "b.example")
    assert ctx.changes[0] == (
        *("sender", paths.address(RECENT)),
        f"ENVID={paths.reference(RECENT)}",
    )
    ctx._close()
