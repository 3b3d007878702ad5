"""The shipped main.cf and master.cf, as Postfix itself reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from franking.settings import Settings
from stack import StackError, postfix

SITE = {
    "maillog_file": "/var/log/mail.log",
    "site_maillog_prefixes": "/var/log",
    "site_hostname": "relay.example.net",
    "site_inet_interfaces": "all",
    "site_inet_protocols": "all",
    "site_tls_chain_files": "/etc/key.pem, /etc/chain.pem",
    "site_panel_url": "https://panel.example.net",
    "site_client_connections": "50",
    "site_client_rate": "600",
    "site_relayhost": "",
    "site_smtp_tls_security_level": "dane",
}


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """What is installed on a production host."""
    postfix.write(tmp_path / "main.cf", postfix.render_main(SITE))
    shutil.copy(postfix.SHIPPED / "master.cf", tmp_path)
    return tmp_path


def postconf(configuration: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["/usr/sbin/postconf", "-c", str(configuration), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def effective(configuration: Path, name: str) -> str:
    return postconf(configuration, "-hx", name).stdout.strip()


def services(configuration: Path) -> Iterator[list[str]]:
    for line in postconf(configuration, "-M").stdout.splitlines():
        yield line.split()


@pytest.mark.parametrize("option", ["-n", "-M", "-P", "-nx"])
def test_postconf_has_nothing_to_say(configuration: Path, option: str) -> None:
    assert postconf(configuration, option).stderr == ""


def test_a_misspelt_parameter_would_be_noticed(configuration: Path) -> None:
    misspelt = {**SITE, "smtpd_recipent_restrictions": "reject"}
    postfix.write(configuration / "main.cf", postfix.render_main(misspelt))
    with pytest.raises(StackError, match="unused parameter"):
        postfix.check(configuration)


def test_a_missing_site_value_would_be_noticed(configuration: Path) -> None:
    missing = {k: v for k, v in SITE.items() if k != "site_relayhost"}
    postfix.write(configuration / "main.cf", postfix.render_main(missing))
    with pytest.raises(StackError, match="undefined parameter: site_relayhost"):
        postfix.check(configuration)


def test_readme_lists_every_site_value() -> None:
    readme = (postfix.SHIPPED / "README.md").read_text()
    used = set(re.findall(r"\$(site_\w+)", (postfix.SHIPPED / "main.cf").read_text()))
    assert used == {name for name in SITE if name.startswith("site_")}
    assert not [name for name in SITE if f"`{name}`" not in readme]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_long_queue_ids", "yes"),
        ("milter_default_action", "tempfail"),
        ("smtpd_end_of_data_restrictions", ""),
        ("smtpd_forbid_bare_newline", "reject"),
        ("smtpd_forbid_bare_newline_exclusions", ""),
        ("smtpd_forbid_unauth_pipelining", "yes"),
        ("cleanup_replace_stray_cr_lf", "yes"),
        ("smtpd_tls_auth_only", "yes"),
        ("smtpd_tls_protocols", ">=TLSv1.2"),
        ("smtpd_tls_mandatory_protocols", ">=TLSv1.2"),
        ("mynetworks", ""),
        ("mydestination", ""),
        ("relay_domains", ""),
        ("maillog_file_compressor", "/bin/true"),
        ("service_throttle_time", "1s"),
        ("notify_classes", ""),
        ("non_smtpd_milters", ""),
    ],
)
def test_what_we_promise_is_in_force(configuration: Path, name: str, value: str) -> None:
    assert effective(configuration, name) == value


def test_chunking_is_not_offered(configuration: Path) -> None:
    assert "chunking" in effective(configuration, "smtpd_discard_ehlo_keywords")


def test_postfix_and_milterd_have_the_same_size_limit(configuration: Path) -> None:
    limit = effective(configuration, "message_size_limit")
    assert int(limit) == Settings.model_fields["milterd"].default.max_message_bytes


def test_nobody_but_auth_passes_the_relay_restrictions(configuration: Path) -> None:
    for name in ("smtpd_relay_restrictions", "relay_restrictions_port_25"):
        words = effective(configuration, name).split(",")
        assert [word.strip() for word in words if "permit" in word] == ["permit_sasl_authenticated"]
        assert words[-1].strip() == "reject"


def test_each_listener_names_itself(configuration: Path) -> None:
    rows = {row[0]: " ".join(row) for row in services(configuration) if row[1] == "inet"}
    assert {service: re.search(r"listener=(\w+)", row)[1] for service, row in rows.items()} == {  # type: ignore[index]
        service: listener for listener, service in postfix.SERVICES.items()
    }
    # Only port 25 may relax what main.cf demands.
    assert [s for s, row in rows.items() if "restrictions" in row or "=may" in row] == ["smtp"]


def test_nothing_is_chrooted(configuration: Path) -> None:
    assert {row[4] for row in services(configuration)} == {"n"}


def test_ports_replace_the_service_names() -> None:
    listeners = {name: f"127.0.0.1:{port}" for port, name in enumerate(postfix.SERVICES, 10025)}
    rows = [line for line in postfix.render_master(listeners).splitlines() if " inet " in line]
    assert [row.split()[0] for row in rows if row[0] != "#"] == list(listeners.values())


def test_the_log_path_is_literal(configuration: Path) -> None:
    """`postfix logrotate` reads it with `postconf -h`, which expands nothing."""
    assert postconf(configuration, "-h", "maillog_file").stdout.strip() == SITE["maillog_file"]
