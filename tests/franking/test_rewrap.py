"""Another master key: nothing is lost, whoever dies when, and mail goes on."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import LargeBinary, select, update

from franking import rewrap as rewrapping
from franking.accounts import credentials
from franking.accounts.models import Credential
from franking.db import Database
from franking.domains import dkim
from franking.domains.keys import keys_of
from franking.domains.models import DkimKey, Domain
from franking.models import Base
from franking.money import ledger
from franking.rewrap import KINDS, Progress
from franking.sealing import Sealer, SealError
from franking.settings import Settings, SettingsError
from franking.webhooks import endpoints
from franking.webhooks.config import Webhooks
from franking.webhooks.models import Endpoint
from milterd.office import Office
from milterd.verdict import Changes, Client
from tests import factories
from tests.command_line import Cli
from tests.milterd.offered import message

OLD, NEW = factories.MASTER_KEY, bytes(range(100, 132))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
COUNT = 7


@pytest.fixture
def secrets(database: Database) -> dict[str, bytes]:
    """Sealed under the old key; what they are, by row."""
    found: dict[str, bytes] = {}
    sealer = Sealer(OLD)
    with database.transaction() as session:
        account = factories.account(session)
        for number in range(COUNT):
            domain = factories.verified_domain(session, account, f"d{number}.example")
            (key,) = keys_of(session, domain)
            found[f"dkim {key.id}"] = dkim.unseal(
                key.sealed_private_key, OLD, domain_id=domain.id, selector=key.selector
            )
            made = credentials.create(session, account, "c", prefix="frank", sealer=sealer)
            found[f"credential {made.credential.id}"] = made.secret.encode()
        factories.credential(session, account)  # not kept
        endpoint = endpoints.create(
            session, account, "https://example.com/", sealer=sealer, rules=Webhooks()
        )
        new = endpoints.rotate(
            session, account, endpoint.endpoint.id, overlap=endpoints.LONGEST_OVERLAP,
            sealer=sealer, now=NOW,
        )  # fmt: skip
        found["endpoint"] = f"{new.secret} {endpoint.secret}".encode()
    return found


def opened(database: Database, sealer: Sealer) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with database.session() as session:
        for key in session.scalars(select(DkimKey)):
            found[f"dkim {key.id}"] = dkim.unseal(
                key.sealed_private_key, sealer, domain_id=key.domain_id, selector=key.selector
            )
        for each in session.scalars(
            select(Credential).where(Credential.sealed_secret.is_not(None))
        ):
            found[f"credential {each.id}"] = credentials.reveal(each, sealer).encode()
        for endpoint in session.scalars(select(Endpoint)):
            found["endpoint"] = " ".join(endpoints.secrets_of(endpoint, sealer, NOW)).encode()
    return found


def done(database: Database, sealer: Sealer | None = None) -> dict[str, Progress]:
    return {p.kind: p for p in rewrapping.rewrap(database, sealer or Sealer(NEW, OLD))}


def test_every_sealed_column_is_known() -> None:
    sealed = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert sealed == {kind.name for kind in KINDS}


def test_everything_is_sealed_again(database: Database, secrets: dict[str, bytes]) -> None:
    progress = done(database)
    assert {kind: each.rewrapped for kind, each in progress.items()} == {
        "dkim_key.sealed_private_key": COUNT, "credential.sealed_secret": COUNT,
        "endpoint.sealed_secret": 1, "endpoint.sealed_previous": 1,
    }  # fmt: skip
    assert opened(database, Sealer(NEW)) == secrets
    again = done(database)
    assert {(each.rewrapped, tuple(each.unreadable)) for each in again.values()} == {(0, ())}
    assert sum(each.present for each in again.values()) == 2 * COUNT + 2


def test_interrupted_and_repeated(
    database: Database, secrets: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each batch all values open with both keys, and at the end with the new one."""
    monkeypatch.setattr(rewrapping, "BATCH", 3)
    both, rounds = Sealer(NEW, OLD), 0
    while True:
        first = next(each for each in _changing(database, both))
        assert opened(database, both) == secrets
        rounds += 1
        if first is None:
            break
    assert rounds >= 7
    assert opened(database, Sealer(NEW)) == secrets


def _changing(database: Database, sealer: Sealer) -> Iterator[Progress | None]:
    """Until something has changed; whoever asks for no more has killed it."""
    for progress in rewrapping.rewrap(database, sealer):
        if progress.rewrapped:
            yield progress
    yield None


def test_a_value_that_changes_meanwhile_stays(
    database: Database, secrets: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and writing, the panel rotates a secret: the new one must not be lost."""
    fresh = Sealer(NEW).seal(b"fresh", "credential:x")

    class Slow(Sealer):
        def seal(self, plaintext: bytes, context: str) -> bytes:
            if context.startswith("credential:"):
                meanwhile = update(Credential).where(Credential.id == 1)
                session.connection().execute(meanwhile.values(sealed_secret=fresh))
            return super().seal(plaintext, context)

    kind = next(kind for kind in KINDS if kind.model is Credential)
    progress = Progress(kind.name)
    with database.transaction() as session:
        rewrapping._batch(session, kind, Slow(NEW, OLD), 0, progress)
        assert session.scalar(select(Credential.sealed_secret).where(Credential.id == 1)) == fresh
    assert progress.rewrapped == COUNT - 1


def test_what_cannot_be_opened_is_told_and_left(
    database: Database, secrets: dict[str, bytes]
) -> None:
    with database.transaction() as session:
        row = session.get_one(Credential, 2)
        row.sealed_secret = strange = Sealer(b"?" * 32).seal(b"x", "credential:x")
    progress = done(database)["credential.sealed_secret"]
    assert (progress.rewrapped, progress.unreadable) == (COUNT - 1, [2])
    with database.session() as session:
        assert session.get_one(Credential, 2).sealed_secret == strange


def test_mail_goes_on(database: Database, settings: Settings, secrets: dict[str, bytes]) -> None:
    """A milter with both keys signs before, while and after; the old one only before."""
    with database.transaction() as session:
        account = session.get_one(Domain, 1).account_id
        ledger.deposit(session, account, 10**6, reference="x")
        username = session.get_one(Credential, 1).username
    key = {"master_key": SecretStr(base64.b64encode(NEW).decode())}
    both = settings.model_copy(update={**key, "old_master_key": settings.master_key})

    def signs(own: Settings, name: str) -> bool:
        office = Office(own, database)
        offered = message(
            [(b"From", f" <a@{name}>".encode())], client=Client(username, ip="192.0.2.1"),
            sender=f"<a@{name}>".encode(), relay=office.relay,
        )  # fmt: skip
        changes = office.judge(offered, "4held", NOW.replace(year=2027))
        return isinstance(changes, Changes) and len(changes.signatures) == 1

    assert signs(both, "d0.example") and signs(settings, "d1.example")
    done(database)
    assert signs(both, "d2.example")
    assert signs(settings.model_copy(update=key), "d3.example"), "the old key may go"
    with pytest.raises(SealError):
        signs(settings, "d4.example")


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def changed(ready: Cli) -> Cli:
    """An instance with a domain, whose settings have got a new key in place of the old one."""
    ready.ok("domain", "add", "example.com")
    ready.ok("endpoint", "create", "https://example.com/hook")
    text = ready.settings.read_text()
    new = base64.b64encode(NEW).decode()
    ready.settings.write_text(text.replace(factories.MASTER_KEY_BASE64, new))
    return ready


def test_the_old_key_from_a_file(changed: Cli, tmp_path: Path) -> None:
    assert "say the old key" in changed.refused("master-key", "rewrap")
    file = tmp_path / "old.key"
    file.write_text("short\n")
    assert "base64" in changed.refused("master-key", "rewrap", "--old-key-file", str(file))
    file.write_text(f"{base64.b64encode(b'?' * 32).decode()}\n")
    assert "cannot be opened" in changed.refused(
        "master-key", "rewrap", "--old-key-file", str(file)
    )
    file.write_text(f"{factories.MASTER_KEY_BASE64}\n")
    data = changed.ok("master-key", "rewrap", "--old-key-file", str(file))
    assert data["dkim_key.sealed_private_key"]["rewrapped"] == 1
    assert "0 sealed again, 1 were so" in changed.text(
        "master-key", "rewrap", "--old-key-file", str(file)
    )


def test_killed_before_a_commit(changed: Cli, tmp_path: Path) -> None:
    text = changed.settings.read_text()
    changed.settings.write_text(f'old_master_key = "{factories.MASTER_KEY_BASE64}"\n{text}')
    command = [
        str(Path(sys.executable).parent / "franking"), "--settings", str(changed.settings),
        "master-key", "rewrap",
    ]  # fmt: skip
    killed = subprocess.run(
        command,
        env=os.environ | {"FAILPOINTS": "rewrap.uncommitted=1"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert changed.ok("master-key", "rewrap")["endpoint.sealed_secret"]["rewrapped"] == 1
    changed.settings.write_text(text)
    assert changed.ok("endpoint", "rotate", "1")["secret"], "with the new key alone"


def test_the_setting_must_be_a_key(settings: Settings) -> None:
    assert settings.old_master_key_bytes() is None
    wrong = settings.model_copy(update={"old_master_key": SecretStr("YWJj")})
    with pytest.raises(SettingsError, match="old_master_key must be the base64 of 32 bytes"):
        wrong.old_master_key_bytes()
