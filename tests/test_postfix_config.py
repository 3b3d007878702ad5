"""The shipped main.cf and master.cf, as Postfix itself reads them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from franking.listeners import SERVICES, Listeners, site_values
from franking.mail.returnpath import ReturnPaths
from franking.settings import Settings
from stack import StackError, postfix

HOST = {
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
    "site_inbound_domains": "bounce.example.net, reports.example.net",
    "site_inbound_maildir": "/var/spool/franking/inbound",
    "site_bounce_domain": "bounce.example.net",
    "site_inbound_user": "franking",
    "site_inbound_uid": "990",
    "site_inbound_gid": "990",
}
SITE = {**HOST, **site_values(Listeners())}
OTHERS = Listeners.model_validate(
    {
        "smtp": {"submission": True, "plaintext_auth": True},
        "submission": {"mechanisms": ["plain"], "tls": "optional"},
        "submissions": {"enabled": False},
        "alternate": {"submission": False},
    }
)
NO_25 = Listeners.model_validate({"smtp": {"enabled": False}})


def install(place: Path, listeners: Listeners) -> Path:
    """What is installed on a production host."""
    site = {**HOST, **site_values(listeners)}
    postfix.write(place / "main.cf", postfix.render_main(site))
    postfix.write(place / "master.cf", postfix.render_master(SERVICES, listeners))
    return place


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    return install(tmp_path, Listeners())


def postconf(configuration: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["/usr/sbin/postconf", "-c", str(configuration), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def effective(configuration: Path, name: str) -> str:
    return postconf(configuration, "-hx", name).stdout.strip()


def services(configuration: Path) -> Iterator[list[str]]:
    for line in postconf(configuration, "-M").stdout.splitlines():
        yield line.split()


@pytest.mark.parametrize("option", ["-n", "-M", "-P", "-nx"])
@pytest.mark.parametrize("listeners", [Listeners(), OTHERS, NO_25], ids=["own", "others", "no-25"])
def test_postconf_has_nothing_to_say(tmp_path: Path, listeners: Listeners, option: str) -> None:
    assert postconf(install(tmp_path, listeners), option).stderr == ""


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


def test_only_a_return_path_is_let_in_at_domains_of_others(configuration: Path) -> None:
    """And only where other servers deliver; whether it is genuine, policyd and milterd say."""
    assert "return_path" not in effective(configuration, "smtpd_relay_restrictions")
    table = re.search(r"regexp:\S+ OK}}", effective(configuration, "return_path"))
    assert table is not None

    def permitted(address: str) -> bool:
        command = ["/usr/sbin/postmap", "-c", str(configuration), "-q", address, table[0]]
        return subprocess.run(command, capture_output=True, text=True).stdout == "OK\n"  # noqa: PLW1510

    ours = ReturnPaths(bytes(32), "b.example").address("4gDmcX3y9Gz1sKp", "bounce.shop.example")
    assert permitted(ours) and permitted(ours.upper())
    local, _, domain = ours.partition("@")
    for other in (
        f"a{ours}", f"{ours}@example.net", f"{local}%example.net@{domain}", f"{local}.a@{domain}",
        f"example.net!{ours}", f"{local}", "bounce+@example.net", "bounce+a@example.net",
    ):  # fmt: skip
        assert not permitted(other), other


def test_our_own_bounces_stay_here(configuration: Path) -> None:
    """Wherever the return path is; nothing else is rewritten, and nobody else's mail."""
    table = effective(configuration, "home")

    def rewritten(address: str) -> str:
        command = ["/usr/sbin/postmap", "-c", str(configuration), "-q", address, table]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()  # noqa: PLW1510

    paths = ReturnPaths(bytes(32), "bounce.example.net")
    queue_id = "4gDmcX3y9Gz1sKp"
    assert rewritten(paths.address(queue_id, "b.shop.example")) == paths.address(queue_id)
    assert rewritten("bounce@shop.example") == rewritten("me@example.net") == ""
    users = [
        line.split()[0]
        for line in postconf(configuration, "-P").stdout.splitlines()
        if "cleanup_service_name=homing" in line.replace(" ", "") or "canonical_maps" in line
    ]
    assert [user.rpartition("/")[0] for user in users] == [
        "bounce/unix", "defer/unix", "trace/unix", "homing/unix"
    ]  # fmt: skip
    assert effective(configuration, "recipient_canonical_maps") == ""


def test_readme_lists_every_site_value() -> None:
    readme = (postfix.SHIPPED / "README.md").read_text()
    files = [(postfix.SHIPPED / name).read_text() for name in ("main.cf", "master.cf")]
    used = set(re.findall(r"\$(site_\w+)", "\n".join(files)))
    assert used == {name for name in SITE if name.startswith("site_")}
    listed = {re.sub(rf"^site_listener_({'|'.join(SERVICES)})_", "…_", name) for name in SITE}
    assert not [name for name in listed if f"`{name}`" not in readme]


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
        ("virtual_alias_maps", ""),
        ("virtual_alias_domains", ""),
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


@pytest.mark.parametrize("inbound", ["yes", "no"])
def test_nobody_but_auth_passes_the_relay_restrictions(configuration: Path, inbound: str) -> None:
    """Save to mailboxes of our own, where other servers deliver."""
    done = postconf(configuration, "-o", f"inbound={inbound}", "-hx", "smtpd_relay_restrictions")
    words = [word.strip() for word in done.stdout.split(",")]
    own = ["permit_auth_destination"] if inbound == "yes" else []
    assert [word for word in words if "permit" in word] == ["permit_sasl_authenticated", *own]
    assert ("reject_unauth_destination" in words) == (inbound == "yes")
    assert words[-1] == "reject"


def in_force(configuration: Path, service: str) -> dict[str, str]:
    """What this service's line says, the site's values put in."""
    found = {}
    for line in postconf(configuration, "-P").stdout.splitlines():
        name, _, value = line.partition(" = ")
        if name.startswith(f"{service}/inet/"):
            given = effective(configuration, value[1:]) if value.startswith("$") else value
            found[name.rpartition("/")[2]] = given
    return found


def test_each_listener_says_what_it_offers(tmp_path: Path) -> None:
    install(tmp_path, OTHERS)
    clear = {"smtpd_tls_security_level": "may", "smtpd_tls_wrappermode": "no"}
    assert in_force(tmp_path, "smtp") == {
        **clear, "listener": "smtp", "inbound": "yes", "smtpd_tls_auth_only": "no",
        "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_mechanism_filter": "plain, login",
    }  # fmt: skip
    assert in_force(tmp_path, "submission") == {
        **clear, "listener": "submission", "inbound": "no", "smtpd_tls_auth_only": "yes",
        "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_mechanism_filter": "plain",
    }  # fmt: skip
    assert in_force(tmp_path, "2525") == {
        "smtpd_tls_security_level": "encrypt", "smtpd_tls_wrappermode": "no",
        "listener": "alternate", "inbound": "yes", "smtpd_tls_auth_only": "yes",
        "smtpd_sasl_auth_enable": "no", "smtpd_sasl_mechanism_filter": "plain, login",
    }  # fmt: skip
    assert in_force(tmp_path, "submissions") == {}


def test_only_465_starts_with_tls_and_only_25_takes_no_submission(configuration: Path) -> None:
    found = {name: in_force(configuration, service) for name, service in SERVICES.items()}
    assert [n for n, f in found.items() if f["smtpd_tls_wrappermode"] == "yes"] == ["submissions"]
    assert [n for n, f in found.items() if f["smtpd_tls_security_level"] == "may"] == ["smtp"]
    assert [n for n, f in found.items() if f["smtpd_sasl_auth_enable"] == "no"] == ["smtp"]
    assert [n for n, f in found.items() if f["smtpd_tls_auth_only"] == "no"] == []
    assert {n: f["listener"] for n, f in found.items()} == {n: n for n in SERVICES}


def test_policyd_is_told_the_listener(configuration: Path) -> None:
    for listener in SERVICES:
        done = postconf(configuration, "-o", f"listener={listener}", "-hx", "smtpd_sasl_service")
        assert done.stdout.strip() == listener


def test_nothing_is_chrooted(configuration: Path) -> None:
    assert {row[4] for row in services(configuration)} == {"n"}


def test_ports_replace_the_service_names() -> None:
    addresses = {name: f"127.0.0.1:{port}" for port, name in enumerate(SERVICES, 10025)}
    rows = [
        line.split()[0]
        for line in postfix.render_master(addresses, OTHERS).splitlines()
        if " inet " in line and line[0] != "#"
    ]
    assert rows == [address for name, address in addresses.items() if name != "submissions"]


def test_a_service_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    with pytest.raises(StackError, match="no inet service 'submission'"):
        postfix.render_master(SERVICES, Listeners(), tmp_path)


def test_the_log_path_is_literal(configuration: Path) -> None:
    """`postfix logrotate` reads it with `postconf -h`, which expands nothing."""
    assert postconf(configuration, "-h", "maillog_file").stdout.strip() == SITE["maillog_file"]
