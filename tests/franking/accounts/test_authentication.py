"""Who is let in, and what those who are not are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from franking.accounts import account as accounts
from franking.accounts import credentials
from franking.accounts.authentication import AuthenticationFailed, Identity, authenticate
from franking.accounts.credentials import Created, Options
from franking.db import Database
from franking.mail import replies
from tests import factories

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OFFICE, ELSEWHERE = "192.0.2.7", "198.51.100.7"
OFFICE_ONLY = Options(source_networks=("192.0.2.0/24", "2001:db8::/32"))


@dataclass(frozen=True)
class Door:
    """The account `acme` with one credential, and somebody before it."""

    database: Database
    username: str
    secret: str

    def __call__(
        self,
        username: str | None = None,
        secret: str | None = None,
        *,
        ip: str | None = OFFICE,
        secured: bool = True,
        now: datetime = NOW,
    ) -> str | Identity:
        """Who came in, or the reason why not."""
        name = self.username if username is None else username
        presented = self.secret if secret is None else secret
        with self.database.session() as session:
            try:
                return authenticate(
                    session, name, presented, client_ip=ip, secured=secured, now=now
                )
            except AuthenticationFailed as failure:
                return failure.reason

    def failure(self, username: str, secret: str) -> AuthenticationFailed:
        with pytest.raises(AuthenticationFailed) as caught, self.database.session() as session:
            authenticate(session, username, secret, client_ip=OFFICE, secured=True, now=NOW)
        return caught.value

    def options(self, options: Options, now: datetime = NOW) -> None:
        with self.database.transaction() as session:
            account = accounts.get(session, "acme")
            credentials.change(session, account, self.username, options, now)

    def rotated(self, overlap: timedelta, now: datetime = NOW) -> str:
        with self.database.transaction() as session:
            account = accounts.get(session, "acme")
            return credentials.rotate(
                session, account, self.username, overlap=overlap, longest=90 * DAY, now=now
            ).secret

    def revoke(self) -> None:
        with self.database.transaction() as session:
            credentials.revoke(session, accounts.get(session, "acme"), self.username, NOW)

    def suspend(self) -> None:
        with self.database.transaction() as session:
            factories.suspend(session, accounts.get(session, "acme"))


@pytest.fixture
def door(database: Database) -> Door:
    with database.transaction() as session:
        made: Created = factories.credential(session, factories.account(session, "acme"))
    return Door(database, made.credential.username, made.secret)


def came_in(outcome: str | Identity) -> bool:
    return isinstance(outcome, Identity)


def test_user_and_secret_or_the_secret_twice(door: Door) -> None:
    for name in (door.username, door.secret):
        identity = door(name)
        assert isinstance(identity, Identity)
        assert (identity.username, identity.secret_hint) == (door.username, door.secret[-4:])


def test_strangers_cannot_tell_known_from_unknown(door: Door) -> None:
    known = door.failure(door.username, "wrong")
    unknown = door.failure("frank_nobody2345", "wrong")
    assert known.reason == unknown.reason == replies.AUTH_FAILED
    assert known.identity is not None and unknown.identity is None
    assert not known.proved and not unknown.proved


@pytest.mark.parametrize("guess", ["", "nobody", "-" * 64, "None"])
def test_a_secret_that_does_not_exist_cannot_be_guessed(door: Door, guess: str) -> None:
    """Without a rotation there is no previous one to be right about."""
    assert door(secret=guess) == door("frank_nobody2345", guess) == replies.AUTH_FAILED
    assert door(guess, guess) == replies.AUTH_FAILED


@pytest.mark.parametrize("address", ["ann@acme.example", "{user}@acme.example", "@"])
def test_an_email_address_is_no_user_name(door: Door, address: str) -> None:
    name = address.format(user=door.username)
    assert door(name, "wrong") == door("nobody@x.example", "wrong") == replies.AUTH_EMAIL
    assert door.failure(name, "wrong").identity is None
    right = door.failure(name, door.secret)
    assert right.reason == replies.AUTH_EMAIL, "even with the right secret"
    assert right.identity is not None and right.proved, "but then its owner may see it"


def expire(door: Door) -> None:
    door.options(Options(expires_at=NOW), now=NOW - DAY)


def move(door: Door) -> None:
    door.options(Options(source_networks=("203.0.113.0/24",)))


ENDS: list[tuple[Callable[[Door], None], str]] = [
    (Door.revoke, replies.AUTH_REVOKED),
    (Door.suspend, replies.AUTH_SUSPENDED),
    (expire, replies.AUTH_EXPIRED),
    (move, replies.AUTH_ADDRESS),
]


@pytest.mark.parametrize(("end", "reason"), ENDS)
def test_the_reason_is_told_only_to_the_holder(
    door: Door, end: Callable[[Door], None], reason: str
) -> None:
    end(door)
    assert door() == reason
    assert door(door.secret) == reason
    assert door(secret="wrong") == replies.AUTH_FAILED
    guess = door.secret[:-1] + ("y" if door.secret.endswith("x") else "x")
    assert door(guess, guess) == replies.AUTH_FAILED
    refused = door.failure(door.username, door.secret)
    assert refused.proved and refused.identity is not None


def test_what_ended_it_for_good_is_said_first(door: Door) -> None:
    """Who is told to mend one thing should not be told the next thing afterwards."""
    outside = Options(expires_at=NOW, source_networks=("203.0.113.0/24",))
    door.options(outside, now=NOW - DAY)
    said = [door(secured=False, now=NOW - DAY), door(secured=False)]
    door.suspend()
    said.append(door(secured=False))
    door.revoke()
    said.append(door(secured=False))
    assert said == [
        replies.AUTH_ADDRESS,
        replies.AUTH_EXPIRED,
        replies.AUTH_SUSPENDED,
        replies.AUTH_REVOKED,
    ]


def test_expiry_to_the_second(door: Door) -> None:
    door.options(Options(expires_at=NOW + DAY))
    second = timedelta(seconds=1)
    assert came_in(door(now=NOW + DAY - second))
    assert door(now=NOW + DAY) == replies.AUTH_EXPIRED
    door.options(Options(), now=NOW + 2 * DAY)
    assert came_in(door(now=NOW + 2 * DAY)), "never again"


@pytest.mark.parametrize(
    ("ip", "allowed"),
    [
        (OFFICE, True),
        (f"::ffff:{OFFICE}", True),
        ("2001:db8::9", True),
        (ELSEWHERE, False),
        (f"::ffff:{ELSEWHERE}", False),
        ("2001:db9::9", False),
        ("unknown", False),
        (None, False),
    ],
)
def test_source_networks(door: Door, ip: str | None, allowed: bool) -> None:
    assert came_in(door(ip=ip)), "no list, no restriction"
    door.options(OFFICE_ONLY)
    outcome = door(ip=ip)
    assert came_in(outcome) if allowed else outcome == replies.AUTH_ADDRESS


def test_clear_text_needs_permission_and_a_listed_address(door: Door) -> None:
    assert door(secured=False) == replies.AUTH_PLAINTEXT
    door.options(OFFICE_ONLY)
    assert door(secured=False) == replies.AUTH_PLAINTEXT, "a list alone is not enough"
    door.options(replace(OFFICE_ONLY, allow_plaintext=True))
    assert came_in(door(secured=False))
    assert door(secured=False, ip=ELSEWHERE) == replies.AUTH_ADDRESS
    assert door(secured=False, secret="wrong") == replies.AUTH_FAILED
    with door.database.transaction() as session:  # a row that `change` would not have made
        account = accounts.get(session, "acme")
        credentials.get(session, account, door.username).source_networks = []
    assert door(secured=False) == replies.AUTH_PLAINTEXT


def test_both_secrets_work_during_the_overlap(door: Door) -> None:
    new = door.rotated(7 * DAY)
    assert new != door.secret
    for secret in (door.secret, new):
        for name in (door.username, secret):
            identity = door(name, secret, now=NOW + 7 * DAY - timedelta(seconds=1))
            assert isinstance(identity, Identity)
            assert identity.secret_hint == secret[-4:]
    assert door(now=NOW + 7 * DAY) == replies.AUTH_ROTATED
    assert came_in(door(secret=new, now=NOW + 7 * DAY))


def test_a_rotated_secret_says_nothing_about_the_credential(door: Door) -> None:
    """Who left the company with an old secret is not told that the account is suspended now."""
    new = door.rotated(timedelta())
    for end in (Door.suspend, Door.revoke):
        end(door)
        assert door() == replies.AUTH_ROTATED
    assert door(secret=new) == replies.AUTH_REVOKED


def test_a_secret_before_the_last_two_is_wrong(door: Door) -> None:
    for _ in range(2):
        door.rotated(timedelta())
    assert door() == replies.AUTH_FAILED


def test_an_overlap_does_not_get_around_the_rest(door: Door) -> None:
    door.rotated(7 * DAY)
    door.options(OFFICE_ONLY)
    assert door(ip=ELSEWHERE) == replies.AUTH_ADDRESS
    assert door(secured=False) == replies.AUTH_PLAINTEXT
    door.revoke()
    assert door() == replies.AUTH_REVOKED
