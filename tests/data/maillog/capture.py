"""Record the test data beside this file anew: `python capture.py` (as root, with Postfix).

Starts a private Postfix under a temporary directory (nothing of /etc/postfix is used), with a
sink that answers in every way a remote server can, an auth server, a milter and header checks;
sends one message for each shape of line; then cuts the log into the *.log files.  Nothing in
them is changed but the machine's name and the temporary directory's.
`python capture.py --expect` writes what the parser makes of them now, as *.json: read the diff.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller, UnixSocketController
from aiosmtpd.lmtp import LMTP

from worker.maillog.parse import parse
from worker.maillog.records import Record

HERE = Path(__file__).parent
MULTILINE = "550-5.7.1 first line\r\n550-5.7.1 second (paren\r\n550 5.7.1 third) line"
FORGED = '"x>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok) to=<"'
FORGED_ID = "Message-ID: <x@y>, milter-reject: END-OF-MESSAGE from a[b]>\r\n"
FORGED_REPLY = (
    "451 4.7.1 no>, relay=evil[192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=2.0.0,"
    " status=sent (250 ok)"
)

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
maillog_file_compressor = /bin/true
enable_long_queue_ids = yes
myhostname = relay.test
mydestination = local.test
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps = inline:{{ root=root@ok.test }}
virtual_mailbox_domains = virtual.test
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = inline:{{ box@virtual.test=box }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_alias_maps = inline:{{ alias@ok.test=target@ok.test }}
header_checks = regexp:{root}/etc/header_checks
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {root}/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
local_recipient_maps =
smtpd_recipient_restrictions = check_recipient_access inline:{{ refused@ok.test=REJECT }}, permit
message_size_limit = 20000
milter_macro_daemon_name = relay.test
smtpd_milters = unix:{root}/milter
smtp_helo_timeout = 2s
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtp_tls_CAfile = {root}/ca.pem
smtp_host_lookup = native
single_destination_recipient_limit = 1
single_destination_concurrency_limit = 1
transport_maps = inline:{{
  ok.test=smtp:[localhost]:{ok} tls.test=smtp:[localhost]:{tls}
  refused.test=smtp:[127.0.0.1]:{closed}
  busy.test=smtp:[127.0.0.1]:{busy} silent.test=smtp:[127.0.0.1]:{silent}
  cached.test=single:[localhost]:{ok} lmtp.test=lmtp:unix:{root}/lmtp discard.test=discard:
  pipe.test=pipe: {late} }}
"""

MASTER_CF = """
127.0.0.1:{smtpd} inet n - n - - smtpd -o syslog_name=postfix/submission
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
single unix - - n - 1 smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
pipe unix - n n - - pipe flags=R user=nobody argv={root}/etc/program ${{user}}
"""

PROGRAM = """#!/bin/sh
cat > /dev/null
test "$1" != fail || {{ echo "cannot: no such thing (here)"; exit 69; }}
"""

LATE = "late.test=smtp:[127.0.0.1]:{closed} pause.test=smtp:[127.0.0.1]:{closed}"
LATER = "{{late.test=error:5.1.2 no such service}} {{pause.test=retry:4.3.2 paused by us}}"

MILTER = """
import sys, Milter
class Refuser(Milter.Base):
    def header(self, name, value):
        if name == "X-Milter": self.refuse = True
        return Milter.CONTINUE
    def envrcpt(self, to, *params):
        self.refuse = False
        if to.startswith("<milter@"):
            self.setreply("554", "5.7.1", "refused by the milter at RCPT")
            return Milter.REJECT
        return Milter.CONTINUE
    def eom(self):
        if not self.refuse: return Milter.CONTINUE
        self.setreply("554", "5.7.1", "Insufficient balance; see https://panel.test/e/x")
        return Milter.REJECT
Milter.factory = Refuser
Milter.runmilter("capture", sys.argv[1], 60)
"""


class Sink:
    """The rest of the Internet: the recipient's local part says how it answers."""

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        local = address.partition("@")[0]
        if local == "multi":
            return MULTILINE
        if local == "grey":
            return "451 4.7.1 Greylisted, see http://sink.test/grey (try again in 60 s)"
        if local == "forged":
            return FORGED_REPLY
        if local == "long":
            return "451 4.7.1 " + "long " * 170 + "\r\n".join(["x"])
        if local == "bare":
            return "550 no enhanced code"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        if envelope.rcpt_tos[0].startswith("drop"):
            server.transport.abort()
        if envelope.rcpt_tos[0].startswith("endless"):
            return (
                "\r\n".join(f"451-4.7.1 {'line ' * 40}{n}" for n in range(20)) + "\r\n451 4.7.1 x"
            )
        return "250 2.0.0 Ok: stored as 7f3a (sink)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def auth_server(path: Path) -> None:
    """The least of a Dovecot auth server: everybody's password is `right`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(50)

    def serve(connection: socket.socket) -> None:
        file = connection.makefile("rw", encoding="ascii", newline="\n")
        file.write("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n")
        file.flush()
        for line in file:
            command, *rest = line.rstrip("\n").split("\t")
            if command != "AUTH":
                continue
            plain = base64.b64decode(rest[-1].removeprefix("resp=")).decode()
            _, user, password = plain.split("\0")
            if password == "right":
                file.write(f"OK\t{rest[0]}\tuser={user}\n")
            else:
                file.write(f"FAIL\t{rest[0]}\tuser={user}\treason=invalid SMTP user name or key\n")
            file.flush()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def plain_listener(greeting: bytes | None) -> int:
    """A port that greets with `greeting` and closes, or, with None, never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        kept = []
        while True:
            connection, _ = listener.accept()
            kept.append(connection)
            if greeting is not None:
                connection.sendall(greeting)
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


class Relay:
    """The private Postfix and how to use it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "mail.log"
        self.ports = {name: free_port() for name in ("smtpd", "ok", "tls", "closed")}
        self.ports["busy"] = plain_listener(b"421 4.3.2 sink.test is too busy (come back)\r\n")
        self.ports["silent"] = plain_listener(None)
        (root / "etc").mkdir()
        for name in ("queue", "data", "mail"):
            (root / name).mkdir()
        shutil.chown(root / "data", "postfix")
        (root / "mail").chmod(0o777)
        self.configure()
        (root / "etc/master.cf").write_text(MASTER_CF.format(root=root, **self.ports))
        (root / "etc/header_checks").write_text("/^X-Refuse:/ REJECT refused by header check\n")
        (root / "etc/program").write_text(PROGRAM.format())
        (root / "etc/program").chmod(0o755)

    def configure(self, extra: str = "", late: str = LATE) -> None:
        late = late.format(**self.ports)
        text = MAIN_CF.format(root=self.root, late=late, **self.ports)
        (self.root / "etc/main.cf").write_text(text + extra)

    def run(self, *command: str, check: bool = True) -> str:
        tool, *rest = command
        done = subprocess.run(
            [tool, "-c", str(self.root / "etc"), *rest],
            check=check, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout

    @contextlib.contextmanager
    def session(self, user: str = "frank_f023a1b2c3") -> Iterator[smtplib.SMTP]:
        with smtplib.SMTP("127.0.0.1", self.ports["smtpd"], "client.test") as client:
            client.login(user, "right", initial_response_ok=True)
            yield client

    def send(self, *recipients: str, sender: str = "news@shop.test", headers: str = "",
             body: str = "hello\r\n") -> str:  # fmt: skip
        """The queue ID, or the refusal as text."""
        with self.session() as client:
            client.mail(sender)
            for recipient in recipients:
                client.docmd("RCPT", f"TO:<{recipient}>")
            try:
                _, text = client.data(f"From: {sender}\r\nSubject: x\r\n{headers}\r\n{body}")
            except smtplib.SMTPException as error:
                return str(error)
        return text.decode().rpartition(" ")[2]

    def wait_for(self, pattern: str, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if re.search(pattern, self.log.read_text(errors="replace")):
                return
            time.sleep(0.05)
        raise TimeoutError(f"never logged: {pattern}")

    def wait_removed(self, *queue_ids: str) -> None:
        for queue_id in queue_ids:
            self.wait_for(rf"qmgr\[\d+\]: {queue_id}: removed")


Section = Callable[[Relay], None]
SECTIONS: list[tuple[str, Section]] = []


def section(name: str) -> Callable[[Section], Section]:
    def keep(function: Section) -> Section:
        SECTIONS.append((name, function))
        return function

    return keep


@section("sent")
def sent(relay: Relay) -> None:
    ids = [relay.send("plain@ok.test")]
    ids.append(relay.send("one@ok.test", "two@ok.test", "alias@ok.test"))
    ids.append(relay.send("plain@tls.test"))
    ids.append(relay.send(*(f"{n}@cached.test" for n in "abcd")))
    ids += [relay.send("x@lmtp.test"), relay.send("x@discard.test"), relay.send("box@virtual.test")]
    ids += [relay.send("prog@pipe.test"), relay.send("root@local.test")]
    relay.wait_removed(*ids)


@section("failed")
def failed(relay: Relay) -> None:
    bounced = [
        relay.send("multi@ok.test"), relay.send("bare@ok.test"), relay.send("fail@pipe.test"),
        relay.send("plain@ok.test", "multi@ok.test"), relay.send("no-such-user@local.test"),
        relay.send("multi@lmtp.test"),
    ]  # fmt: skip
    for local in ("grey", "forged", "long", "drop", "endless"):
        relay.send(f"{local}@ok.test")
    for domain in ("refused", "busy", "silent", "late", "pause"):
        relay.send(f"x@{domain}.test")
    relay.send("x@nowhere.invalid")
    relay.wait_removed(*bounced)
    relay.wait_for(r"silent.test>.*status=deferred")
    relay.wait_for(r"endless@.*status=deferred")
    relay.configure(late=LATER)
    relay.run("postfix", "reload")
    time.sleep(1.5)
    relay.run("postqueue", "-f")
    relay.wait_for(r"late.test>.*status=bounced")
    relay.wait_for(r"pause.test>.*4.3.2.*status=deferred")
    relay.configure()
    relay.run("postfix", "reload")
    time.sleep(1.5)
    relay.run("postsuper", "-d", "ALL")


@section("refused")
def refused(relay: Relay) -> None:
    relay.send("plain@ok.test", headers="X-Milter: yes\r\n")
    relay.send("plain@ok.test", "two@ok.test", headers="X-Refuse: yes\r\n")
    relay.send("milter@ok.test")
    relay.send("plain@ok.test", "milter@ok.test", "refused@ok.test")
    relay.send("refused@ok.test")
    relay.send("plain@ok.test", body="x" * 70 + "\r\n" + "y" * 70 + "\r\n" * 11000)
    with smtplib.SMTP("127.0.0.1", relay.ports["smtpd"], "client.test") as client:
        client.docmd("MAIL", "FROM:<a@shop.test>")
        client.docmd("RCPT", "TO:<plain@ok.test>")
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            client.login("frank_f023a1b2c3", "wrong")
    with relay.session() as client:
        client.mail("a@shop.test")
        client.rcpt("plain@ok.test")
        client.docmd("DATA")
        client.sock.sendall(b"Subject: cut\r\n\r\nno end")  # type: ignore[union-attr]
        client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        client.close()
    time.sleep(1)


@section("injected")
def injected(relay: Relay) -> None:
    relay.send(f"{FORGED}@ok.test", "plain@ok.test")
    relay.send("plain@ok.test", sender='"a>, status=expired, returned to sender <"@shop.test',
               headers=FORGED_ID)  # fmt: skip
    relay.send(f"{FORGED}@refused.test", "forged@ok.test")
    relay.send("plain@ok.test", headers="Message-ID: <a\x01b\tc@d>\r\n")
    with relay.session() as client:
        client.ehlo("client.test")
        client.docmd("MAIL", "FROM:<news@shop.test> SMTPUTF8")
        client.sock.sendall("RCPT TO:<plain.äöü☃@ok.test>\r\n".encode())  # type: ignore[union-attr]
        client.getreply()
        client.data("From: news@shop.test\r\n\r\nhello\r\n")
    relay.wait_for(r"forged@.*status=deferred")
    relay.wait_for(r"öü.*status=")
    time.sleep(0.5)
    relay.run("postsuper", "-d", "ALL")


@section("operator")
def operator(relay: Relay) -> None:
    first = relay.send("x@refused.test", "y@refused.test")
    relay.wait_for(rf"{first}: to=<y@.*deferred")
    for command in ("-h", "-H", "-r"):
        relay.run("postsuper", command, first)
    relay.run("postkick", "public", "pickup", "W")
    relay.wait_for(rf"orig_id={first}")
    time.sleep(1)
    again = re.findall(rf"pickup\[\d+\]: (\w+): uid.*orig_id={first}", relay.log.read_text())[-1]
    relay.wait_for(rf"{again}: to=<y@.*deferred")
    relay.run("postsuper", "-e", again)
    relay.run("postqueue", "-f")
    relay.wait_removed(again)
    second = relay.send("x@refused.test")
    relay.wait_for(rf"{second}: to=<x@.*deferred")
    relay.run("postsuper", "-h", second)
    relay.run("postsuper", "-d", second)
    relay.configure("maximal_queue_lifetime = 0\nbounce_queue_lifetime = 0\n")
    relay.run("postfix", "reload")
    time.sleep(1.5)
    third = relay.send("x@refused.test", "plain@ok.test")
    relay.wait_removed(third)
    relay.configure("delay_warning_time = 1s\nminimal_backoff_time = 1s\nsoft_bounce = yes\n")
    relay.run("postfix", "reload")
    time.sleep(1.5)
    fourth = relay.send("x@refused.test", "multi@ok.test")
    relay.wait_for(rf"{fourth}: to=<multi@")
    time.sleep(1.2)
    relay.run("postqueue", "-f")
    relay.wait_for(rf"{fourth}: sender delay notification")
    relay.run("postlog", "-t", "postfix/franking", "probe 0123456789abcdef")
    relay.run("postsuper", "-d", "ALL")


def start_peers(relay: Relay) -> list[Any]:
    root = relay.root
    authority = trustme.CA()
    authority.cert_pem.write_to_path(root / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    unix = UnixSocketController(Sink(), unix_socket=str(root / "lmtp"))
    unix.factory = lambda: LMTP(Sink(), enable_SMTPUTF8=True)  # type: ignore[method-assign]
    peers = [
        Controller(Sink(), "127.0.0.1", relay.ports["ok"], enable_SMTPUTF8=True),
        Controller(Sink(), "127.0.0.1", relay.ports["tls"], tls_context=context),
        unix,
    ]
    for peer in peers:
        peer.start()
    (root / "lmtp").chmod(0o666)
    threading.Thread(target=auth_server, args=(root / "auth",), daemon=True).start()
    return peers


def expect(log: Path) -> None:
    """One line of JSON for each line of the log, `null` where it says nothing to us."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    records = [parse(line, now, UTC) for line in log.read_bytes().splitlines()]
    lines = [json.dumps(as_data(record), ensure_ascii=False) for record in records]
    log.with_suffix(".json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def as_data(record: Record | None) -> dict[str, object] | None:
    if record is None:
        return None
    fields = record._asdict() | {"at": record.at.isoformat()}
    fields.pop("rest", None)  # the line itself
    return {"record": type(record).__name__, **fields}


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="capture-"))
    root.chmod(0o755)
    relay = Relay(root)
    os.umask(0)
    peers = start_peers(relay)
    milter = subprocess.Popen([sys.executable, "-c", MILTER, f"unix:{root}/milter"])
    os.umask(0o022)
    try:
        relay.run("postfix", "start")
        for name, function in SECTIONS:
            before = relay.log.stat().st_size if relay.log.exists() else 0
            function(relay)
            time.sleep(1)
            text = relay.log.read_bytes()[before:].decode("utf-8", "surrogateescape")
            text = text.replace(socket.gethostname(), "relay").replace(str(root), "/run/relay")
            (HERE / f"{name}.log").write_text(text, errors="surrogateescape")
    finally:
        relay.run("postfix", "stop", check=False)
        milter.terminate()
        milter.wait()
        for peer in peers:
            peer.stop()
    shutil.rmtree(root)


if __name__ == "__main__":
    if sys.argv[1:] != ["--expect"]:
        main()
    for log in sorted(HERE.glob("*.log")):
        expect(log)
