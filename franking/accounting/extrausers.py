"""The accounts as users of an sshd: passwd, group, shadow and keys, as libnss-extrausers
reads them.

    <sftp_users>/passwd group shadow      passwd(5), group(5), shadow(5)
    <sftp_users>/keys/<user name>         authorized_keys, each key with `restrict`

Only the sshd of the accounting log looks there (`franking.accounting.sshd`): for every other
program of the host these users do not exist, so their passwords open no other service.
Whoever has neither key nor password, or an account whose plan has no log, is not there.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounting import disk, files, publishing
from franking.accounting.config import Accounting
from franking.accounting.models import SftpAccess
from franking.accounts.models import Account

GROUP = "franking-sftp"
SHELL = "/usr/sbin/nologin"


def sync(session: Session, rules: Accounting) -> int:
    """Make the files say what the database says; returns how many users there are.

    A session that has begun goes on.  Needs to be root: sshd wants keys and folders to be root's.
    """
    assert rules.directory is not None
    query = select(SftpAccess, Account).join(Account, Account.id == SftpAccess.account_id)
    rows = [
        (access, account)
        for access, account in session.execute(query.order_by(SftpAccess.account_id))
        if files.allowed(account) and (access.keys or access.password_hash)
    ]
    for _, account in rows:
        publishing.place(rules.directory, account.name)
    _keys(rules.sftp_users, [access for access, _ in rows])
    first = rules.sftp_first_uid
    passwd = [
        f"{access.username}:x:{first + account.id}:{first}::"
        f"{files.folder(rules.directory, account.name)}:{SHELL}"
        for access, account in rows
    ]
    # Field 3 is when the password was changed, in days: 0 would ask for a new one.
    shadow = [f"{access.username}:{access.password_hash or '*'}:1::::::" for access, _ in rows]
    _replace(rules.sftp_users / "group", [f"{GROUP}:x:{first}:"], 0o644)
    _replace(rules.sftp_users / "shadow", shadow, 0o600)
    _replace(rules.sftp_users / "passwd", passwd, 0o644)
    return len(rows)


def _keys(directory: Path, accesses: list[SftpAccess]) -> None:
    folder = directory / "keys"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for access in accesses:
        _replace(folder / access.username, [f"restrict {line}" for line in access.keys], 0o644)
    known = {access.username for access in accesses}
    for path in folder.iterdir():
        if path.name not in known:
            path.unlink()


def _replace(path: Path, lines: list[str], mode: int) -> None:
    disk.replace(path, "".join(f"{line}\n" for line in lines).encode(), mode)
