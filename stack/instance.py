"""One stack's directory: where everything is, which ports it uses, its secrets, its settings file.

    franking.toml secrets.json franking.db    bin/franking      the CLI, on this instance
    local.toml  settings of your own          log/              <process>.log, mail.log
    tls/      CA and certificates
    postfix/  configuration                   run/              circus's files, the lock
    spool/    Postfix's queue                 sink/             delivered messages, one a file
    data/     Postfix's data                  sink.journal      one JSON line per delivery
    inbound/  Maildir of mail to ourselves    accounting/  files of events, for accounts to fetch

Everything here outlives a stop, except `demo.json`, which is there exactly while the stack is up.
`franking.toml` is written at each start; what `local.toml` says is merged into it.
"""

from __future__ import annotations

import base64
import json
import pwd
import secrets
import shutil
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from franking.listeners import Listeners, inbound_values, site_values
from franking.settings import Settings, SettingsError, load
from stack import StackError, certificates
from stack.place import claim
from stack.ports import HOST, Ports
from stack.settings_file import merged, toml, write_private

BOUNCE_DOMAIN = "bounce.franking.test"
REPORTS_DOMAIN = "reports.franking.test"
INBOUND_OWNER = "nobody"  # virtual(8) delivers as no user with a number below 100
NOTICES_FROM = "billing@franking.test"
LONGEST_SOCKET = 103  # characters; sun_path holds 108 with its NUL, macOS 104


@dataclass(frozen=True)
class Instance:
    """A directory, its ports and its database."""

    root: Path
    ports: Ports
    database_url: str

    @classmethod
    def at(cls, directory: Path, ports: Ports, database_url: str | None = None) -> Instance:
        """The instance in `directory`, made if need be; StackError when it cannot live there."""
        root = claim(directory)
        (root / "run").mkdir(mode=0o755, exist_ok=True)
        instance = cls(root, ports, database_url or f"sqlite:///{root / 'franking.db'}")
        for path in (instance.socket("milter"), instance.run / "circus-pubsub"):
            if len(str(path)) > LONGEST_SOCKET:
                raise StackError(
                    f"{root} is too long a path: {path} has {len(str(path))} characters, and the"
                    f" path of a Unix socket has at most {LONGEST_SOCKET}. Choose a shorter"
                    " --directory."
                )
        return instance

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def mail_log(self) -> Path:
        return self.log / "mail.log"

    @property
    def postfix(self) -> Path:
        return self.root / "postfix"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def sink(self) -> Path:
        return self.root / "sink"

    @property
    def sink_journal(self) -> Path:
        return self.root / "sink.journal"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def ca_file(self) -> Path:
        return certificates.ca_file(self.tls)

    @property
    def settings_file(self) -> Path:
        return self.root / "franking.toml"

    @property
    def local_settings_file(self) -> Path:
        return self.root / "local.toml"

    @property
    def demo_file(self) -> Path:
        return self.root / "demo.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "lock"

    @property
    def cli(self) -> Path:
        return self.root / "bin/franking"

    @property
    def panel_url(self) -> str:
        return f"http://{HOST}:{self.ports.panel}"

    def socket(self, name: str) -> Path:
        """Of policyd (`auth`, `policy`) and milterd (`milter`): below the queue directory, where
        main.cf's relative paths look for them."""
        return self.spool / "franking" / name

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """This instance's secrets, made at its first start."""
        path = self.secrets_file
        if not path.exists():
            made = {
                "master_key": base64.b64encode(secrets.token_bytes(32)).decode(),
                "panel_secret_key": secrets.token_urlsafe(32),
                "demo_password": secrets.token_urlsafe(12),
            }
            write_private(path, json.dumps(made, indent=2))
        return dict(json.loads(path.read_text()))

    def remember_secret(self, **more: str) -> None:
        """Keep further secrets: the database holds only hashes of them."""
        self.secrets.update(more)
        write_private(self.secrets_file, json.dumps(self.secrets, indent=2))

    def settings(self) -> dict[str, Any]:
        """The settings of every process, in the shape of `franking.settings.Settings`."""
        return {
            "node": "local",
            "database_url": self.database_url,
            "master_key": self.secrets["master_key"],
            "panel": {
                "url": self.panel_url,
                "secret_key": self.secrets["panel_secret_key"],
                "secure_cookies": False,
            },
            "smtp": {"host": HOST, "ports": self.ports.smtp_ports()},
            "bounces": {"domain": BOUNCE_DOMAIN},
            "accounting": {"directory": str(self.root / "accounting"), "minutes": 5},
            "deliverability": {"ca_file": str(self.ca_file)},
            "dmarc": {"reports": REPORTS_DOMAIN},
            "inbound": {"maildir": str(self.root / "inbound")},
            "notices": {
                "from_address": NOTICES_FROM,
                "smtp_host": HOST,
                "smtp_port": self.ports.sink,
                "every": 1,
            },
            # Endpoints are on this machine, too.
            "webhooks": {"ports": [], "allow_http": True, "allow_private": True},
            "housekeeping": {"alerts_every": 1},
            # Everybody is 127.0.0.1 here: one's typing errors must not delay the others.
            "protection": {"free_failures": 500, "address_failures": 500},
            "maillog": {
                "path": str(self.mail_log),
                "queue_directory": str(self.spool),
                "config_directory": str(self.postfix),
            },
        }

    def _local_settings(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.local_settings_file.read_text())
        except FileNotFoundError:
            return {}
        except tomllib.TOMLDecodeError as error:
            raise StackError(f"{self.local_settings_file}: {error}") from error

    @cached_property
    def loaded(self) -> Settings:
        """The settings file; raises StackError when it cannot be used."""
        try:
            return load(self.settings_file)
        except SettingsError as error:
            raise StackError(str(error)) from error

    @property
    def listeners(self) -> Listeners:
        return self.loaded.listeners

    def site(self) -> dict[str, str]:
        """What postfix/README.md calls site.cf."""
        return {
            "maillog_file": str(self.mail_log),
            "site_maillog_prefixes": str(self.log),
            "site_hostname": "localhost",
            "site_inet_interfaces": HOST,
            "site_inet_protocols": "ipv4",
            "site_tls_chain_files": ", ".join(map(str, certificates.chain_files(self.tls))),
            "site_panel_url": self.panel_url,
            "site_client_connections": "0",  # every client of a test comes from 127.0.0.1
            "site_client_rate": "0",
            "site_relayhost": f"[{HOST}]:{self.ports.sink}",
            "site_smtp_tls_security_level": "may",
            "site_inbound_user": "root",  # the worker itself
            "site_inbound_uid": str(pwd.getpwnam(INBOUND_OWNER).pw_uid),
            "site_inbound_gid": str(pwd.getpwnam(INBOUND_OWNER).pw_gid),
            **site_values(self.listeners),
            **inbound_values(self.loaded.bounces, self.loaded.dmarc, self.loaded.inbound),
        }

    def write_files(self) -> None:
        """Directories, settings file and CLI wrapper; what is there is kept or replaced."""
        for path in (self.log, self.sink, self.cli.parent, self.tls):
            path.mkdir(mode=0o755, exist_ok=True)
        self.socket("milter").parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_private(self.settings_file, toml(merged(self.settings(), self._local_settings())))
        self.loaded.inbound.maildir.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(self.loaded.inbound.maildir, INBOUND_OWNER)
        program = Path(sys.executable).parent / "franking"
        self.cli.write_text(
            f'#!/bin/sh\nFRANKING_SETTINGS="{self.settings_file}" exec "{program}" "$@"\n'
        )
        self.cli.chmod(0o755)
