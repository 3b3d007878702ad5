"""The sshd of the accounting log, beside the host's own: its configuration, unit and name service.

It has a port, host keys and a mount namespace of its own.  In that namespace nsswitch.conf names
`extrausers` and the place where libnss-extrausers looks is `accounting.sftp_users`: so it alone
knows the accounts' user names, and `AllowGroups` says that nobody else gets in.  A user of it gets
OpenSSH's internal-sftp, read-only, within the account's folder: no shell, no other program, nothing
forwarded (sshd_config(5), sftp-server(8)).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from franking.accounting.config import Accounting
from franking.accounting.extrausers import GROUP

CONFIGURATION = "/etc/franking/sshd_config"
HOST_KEY = "/etc/franking/ssh_host_ed25519_key"
NSSWITCH_FILE = "/etc/franking/nsswitch.conf"
EXTRAUSERS = "/var/lib/extrausers"  # compiled into the library

NSSWITCH = """\
# Name service of the accounting log's sshd, and of nothing else on this host.
passwd: files extrausers
group: files extrausers
shadow: files extrausers
hosts: files dns
"""

_SSHD = """\
# sshd_config(5) of the accounting log, written by: franking accounting sshd-config
Port {port}
HostKey {host_key}
PidFile none
# shadow(5) is asked directly: no stack of the host's PAM applies to these users.
UsePAM no
AllowGroups {group}
PermitRootLogin no
AuthenticationMethods publickey password
KbdInteractiveAuthentication no
AuthorizedKeysFile {extrausers}/keys/%u
LoginGraceTime 20
MaxAuthTries 4
MaxStartups 20:30:100
MaxSessions 2
ClientAliveInterval 60
ClientAliveCountMax 5
DisableForwarding yes
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
PrintMotd no
VersionAddendum none
Subsystem sftp internal-sftp
ForceCommand internal-sftp -R -l INFO
ChrootDirectory %h
"""

_UNIT = """\
[Unit]
Description=Franking: the accounting log by SFTP
After=network.target
ConditionPathExists={configuration}

[Service]
ExecStartPre=/usr/sbin/sshd -t -f {configuration}
ExecStart=/usr/sbin/sshd -D -e -f {configuration}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
Restart=on-failure
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
BindReadOnlyPaths={nsswitch}:/etc/nsswitch.conf {users}:{extrausers}
# nscd would answer with the host's names.
InaccessiblePaths=-/run/nscd
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def configuration(rules: Accounting, *, host_key: str = HOST_KEY, listen: str | None = None) -> str:
    """`listen`: an address other than all of them."""
    text = _SSHD.format(port=rules.sftp_port, host_key=host_key, group=GROUP, extrausers=EXTRAUSERS)
    return text + (f"ListenAddress {listen}\n" if listen else "")


def unit(rules: Accounting) -> str:
    """For systemd."""
    return _UNIT.format(
        configuration=CONFIGURATION, nsswitch=NSSWITCH_FILE, users=rules.sftp_users,
        extrausers=EXTRAUSERS,
    )  # fmt: skip


def unsafe(directory: Path) -> Iterator[Path]:
    """What sshd refuses to chroot into, or below: anything that others than root may change."""
    for path in (directory, *directory.parents):
        status = path.stat()
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield path
