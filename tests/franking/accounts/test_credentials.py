"""Making, changing and rotating credentials; who gets in is in test_authentication.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from franking.accounts import account as accounts
from franking.accounts import credentials, secret, users
from franking.accounts.credentials import Created, Options
from franking.accounts.models import Account, Credential
from franking.accounts.rules import Narrowing
from franking.db import Database
from franking.money import pricing
from franking.reasons import Invalid, NotFound, Taken
from franking.sealing import Sealer
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LONGEST = 90 * DAY
SEALER = Sealer(factories.MASTER_KEY)


@pytest.fixture
def made(database: Database) -> Created:
    with database.transaction() as session:
        plan = pricing.create_plan(session, "standard", currency="EUR", unit_price=1)
        accounts.create(session, "other", plan=plan)
        account = accounts.create(session, "acme", plan=plan)
        factories.verified_domain(session, account, "shop.example")
        return credentials.create(session, account, "website", prefix="frank", now=NOW)


def rotate(
    database: Database,
    made: Created,
    overlap: timedelta,
    now: datetime = NOW,
    sealer: Sealer | None = None,
) -> Created:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        return credentials.rotate(
            session,
            account,
            made.credential.username,
            overlap=overlap,
            longest=LONGEST,
            sealer=sealer,
            now=now,
        )


def change(database: Database, made: Created, options: Options) -> Credential:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        return credentials.change(session, account, made.credential.username, options, NOW)


def test_the_secret_is_not_stored(database: Database, made: Created) -> None:
    with database.session() as session:
        row = session.scalars(select(Credential)).one()
        stored = " ".join(str(value) for value in vars(row).values())
    assert made.secret not in stored
    assert made.secret.endswith(row.secret_hint)
    assert row.sealed_secret is None


@pytest.mark.parametrize("mode", ["live", "test"])
def test_the_mode_is_part_of_the_secret(database: Database, made: Created, mode: str) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        other = credentials.create(session, account, "x", prefix="frank", mode=mode)
        rotated = credentials.rotate(
            session, account, other.credential.username, overlap=DAY, longest=LONGEST
        )
    for each in (other, rotated):
        parsed = secret.parse(each.secret)
        assert parsed is not None and parsed.mode == mode
        assert parsed.username == other.credential.username


def test_a_foreign_credential_is_not_found(database: Database, made: Created) -> None:
    username = made.credential.username
    with database.transaction() as session:
        other = accounts.get(session, "other")
        for call in (credentials.get, credentials.revoke, credentials.end_overlap):
            with pytest.raises(NotFound):
                call(session, other, username)
        with pytest.raises(NotFound):
            credentials.change(session, other, username, Options())
        with pytest.raises(NotFound):
            credentials.rotate(session, other, username, overlap=DAY, longest=LONGEST)
        assert credentials.all_of(session, other) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_names_are_checked(database: Database, name: str) -> None:
    with database.transaction() as session, pytest.raises(Invalid):
        credentials.create(session, Account(name="x"), name, prefix="frank")


def test_options_are_kept_in_one_form(database: Database, made: Created) -> None:
    change(
        database,
        made,
        Options(
            stream="invoices",
            expires_at=NOW + DAY,
            source_networks=("192.0.2.7", "::ffff:192.0.2.7", "2001:DB8::/32"),
            sending_domains=("Shop.EXAMPLE.",),
            allow_plaintext=True,
            rules=Narrowing(max_recipients=5),
        ),
    )
    with database.session() as session:
        row = credentials.get(session, accounts.get(session, "acme"), made.credential.username)
        assert credentials.options_of(row) == Options(
            stream="invoices",
            expires_at=NOW + DAY,
            source_networks=("192.0.2.7/32", "2001:db8::/32"),
            sending_domains=("shop.example",),
            allow_plaintext=True,
            rules=Narrowing(max_recipients=5),
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(stream="My stream"), "no name of a stream"),
        (Options(stream=""), "no name of a stream"),
        (Options(expires_at=NOW), "not in the future"),
        (Options(source_networks=("office",)), "is no network"),
        (Options(source_networks=tuple(f"10.0.{n}.0/24" for n in range(101))), "at most 100"),
        (Options(sending_domains=("shop.example", "bank.example")), "^bank.example: not among"),
        (Options(sending_domains=("nodots",)), "full domain name"),
        (Options(allow_plaintext=True), "needs a list of source networks"),
    ],
)
def test_options_that_are_refused(
    database: Database, made: Created, options: Options, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        change(database, made, options)
    with database.transaction() as session, pytest.raises(Invalid, match=said):
        account = accounts.get(session, "acme")
        credentials.create(session, account, "x", prefix="frank", options=options, now=NOW)


def test_another_accounts_domain_cannot_be_listed(database: Database, made: Created) -> None:
    with database.transaction() as session:
        factories.verified_domain(session, accounts.get(session, "other"), "other.example")
    with pytest.raises(Invalid, match="not among the domains"):
        change(database, made, Options(sending_domains=("other.example",)))


def test_an_expired_credential_may_keep_its_date_or_get_another(
    database: Database, made: Created
) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        username = made.credential.username
        past, late = Options(expires_at=NOW + DAY), NOW + 9 * DAY
        credentials.change(session, account, username, past, NOW)
        row = credentials.change(
            session, account, username, Options(stream="x", expires_at=NOW + DAY), late
        )
        assert credentials.state_of(row, late) == "expired"
        with pytest.raises(Invalid, match="set another expiry date first"):
            credentials.rotate(session, account, username, overlap=DAY, longest=LONGEST, now=late)
        row = credentials.change(session, account, username, Options(), late)
        assert credentials.state_of(row, late) == "active"


def test_the_end_of_a_credential(database: Database, made: Created) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        username = made.credential.username
        assert credentials.revoke(session, account, username, NOW).revoked_at == NOW
        row = credentials.revoke(session, account, username, NOW + DAY)
        assert (row.revoked_at, credentials.state_of(row, NOW)) == (NOW, "revoked")
        for call in (
            lambda: credentials.change(session, account, username, Options()),
            lambda: credentials.rotate(session, account, username, overlap=DAY, longest=LONGEST),
        ):
            with pytest.raises(Invalid, match="revoked for good"):
                call()


def test_rotation(database: Database, made: Created) -> None:
    rotated = rotate(database, made, 7 * DAY)
    row = rotated.credential
    assert row.username == made.credential.username and rotated.secret != made.secret
    assert row.previous_until == NOW + 7 * DAY
    last = NOW + 7 * DAY - timedelta(seconds=1)
    old, new = made.secret[-4:], rotated.secret[-4:]
    assert [credentials.secret_state(row, hint, last) for hint in (old, new, "zzzz")] == [
        "previous",
        "current",
        "ended",
    ]
    assert credentials.secret_state(row, old, NOW + 7 * DAY) == "ended"


@pytest.mark.parametrize("overlap", [-timedelta(seconds=1), LONGEST + timedelta(seconds=1)])
def test_overlaps_have_bounds(database: Database, made: Created, overlap: timedelta) -> None:
    with pytest.raises(Invalid, match="0 to 90 days"):
        rotate(database, made, overlap)


def test_no_second_rotation_while_an_overlap_runs(database: Database, made: Created) -> None:
    first = rotate(database, made, LONGEST)
    for overlap in (timedelta(), DAY):
        with pytest.raises(Invalid, match=f"…{made.secret[-4:]} still works until 2027-02-19"):
            rotate(database, made, overlap, NOW + DAY)
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        username = made.credential.username
        for now in (NOW + DAY, NOW + 2 * DAY):  # a second time changes nothing
            row = credentials.end_overlap(session, account, username, now)
            assert row.previous_until == NOW + DAY
    second = rotate(database, made, timedelta(), NOW + DAY)
    assert second.credential.previous_hint == first.secret[-4:]
    assert not credentials.overlapping(second.credential, NOW + DAY)


def test_secrets_that_can_be_shown_again(database: Database, made: Created) -> None:
    with pytest.raises(Invalid, match="cannot be shown again"):
        credentials.reveal(made.credential, SEALER)
    kept = rotate(database, made, timedelta(), sealer=SEALER)
    assert credentials.reveal(kept.credential, SEALER) == kept.secret
    assert kept.secret.encode() not in (kept.credential.sealed_secret or b"")
    with pytest.raises(Invalid, match="another master key"):
        credentials.reveal(kept.credential, Sealer(bytes(32)))
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        other = credentials.create(session, account, "x", prefix="frank", sealer=SEALER)
        assert credentials.reveal(other.credential, SEALER) == other.secret
        other.credential.sealed_secret = kept.credential.sealed_secret
        with pytest.raises(Invalid, match="another row"):
            credentials.reveal(other.credential, SEALER)
    switched_off = rotate(database, made, timedelta())
    assert switched_off.credential.sealed_secret is None


def test_users_need_a_real_address_and_password(database: Database, made: Created) -> None:
    with database.transaction() as session:
        account = accounts.get(session, "acme")
        assert users.create(session, account, "Ann@Example.com", "long enough").password[:9] == (
            "$argon2id"
        )
        with pytest.raises(Taken):
            users.create(session, account, "ann@example.com", "long enough")
        with pytest.raises(Invalid):
            users.create(session, account, "no address", "long enough")
        with pytest.raises(Invalid):
            users.create(session, account, "bob@example.com", "short")


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-a", "a" * 65])
def test_account_names(database: Database, made: Created, name: str) -> None:
    with database.transaction() as session, pytest.raises(Invalid):
        accounts.create(session, name, plan=pricing.plan_named(session, "standard"))
