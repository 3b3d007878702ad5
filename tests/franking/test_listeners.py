"""What an operator may say about a port, and what it becomes in Postfix's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from franking.cli import main
from franking.domains.config import Dmarc
from franking.listeners import (
    SERVICES,
    Listeners,
    inbound_values,
    site_values,
    without_disabled,
)
from franking.mail.config import Bounces, Inbound
from franking.settings import SettingsError, load

MASTER = """\
# service    type  private
smtp         inet  n       -       n       -       -       smtpd
    -o listener=smtp
submission   inet  n       -       n       -       -       smtpd
    -o listener=submission
    -o inbound=no
submissions  inet  n       -       n       -       -       smtpd
2525         inet  n       -       n       -       -       smtpd

smtp         unix  -       -       n       -       -       smtp
"""


def listeners(tmp_path: Path, text: str) -> Listeners:
    file = tmp_path / "franking.toml"
    file.write_text(text)
    return load(file).listeners


def test_the_defaults() -> None:
    own = Listeners()
    assert {name: listener.tls for name, listener in own.enabled()} == {
        "smtp": "optional",
        "submission": "required",
        "submissions": "implicit",
        "alternate": "required",
    }
    assert list(own.for_submission()) == ["submission", "submissions", "alternate"]
    for _, listener in own.enabled():
        assert listener.mechanisms == ("PLAIN", "LOGIN") and not listener.plaintext_auth


def test_what_is_left_out_keeps_that_ports_default(tmp_path: Path) -> None:
    chosen = listeners(
        tmp_path,
        "[listeners.smtp]\nsubmission = true\nplaintext_auth = true\n"
        '[listeners.submissions]\nmechanisms = ["plain"]\n'
        "[listeners.alternate]\nenabled = false\n",
    )
    assert chosen.smtp.tls == "optional"
    assert (chosen.submissions.tls, chosen.submissions.mechanisms) == ("implicit", ("PLAIN",))
    assert chosen.submission == Listeners().submission
    assert list(chosen.for_submission()) == ["smtp", "submission", "submissions"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('submission]\nmechanisms = ["CRAM-MD5"]', r'listeners\.submission.*write \["PLAIN"'),
        ('submission]\nmechanisms = ["PLAIN", "XOAUTH2"]', "XOAUTH2"),
        ("submission]\nmechanisms = []", 'nothing is not possible.*write \\["PLAIN"'),
        ("submission]\nplaintext_auth = true", 'contradicts tls = "required".*"optional"'),
        ("submissions]\nplaintext_auth = true", 'contradicts tls = "implicit".*"optional"'),
        ("smtp]\nplaintext_auth = true", "write submission = true"),
        ('smtp]\ntls = "none"', r"listeners\.smtp\.tls.*'optional'"),
        ("imap]\nenabled = true", r"listeners\.imap"),
        ("smtp]\nport = 26", r"listeners\.smtp\.port"),
    ],
)
def test_what_cannot_be_says_how_to_fix_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        listeners(tmp_path, f"[listeners.{text}\n")


def test_one_that_is_off_leaves_no_value_and_no_line() -> None:
    off = Listeners.model_validate({"submission": {"enabled": False}})
    assert {name.split("_")[2] for name in site_values(off)} == set(SERVICES) - {"submission"}
    before, after = MASTER.splitlines(), without_disabled(MASTER, off).splitlines()
    changed = [line for old, line in zip(before, after, strict=True) if line != old]
    assert changed == [
        "#submission   inet  n       -       n       -       -       smtpd",
        "#    -o listener=submission",
        "#    -o inbound=no",
    ]


def test_all_on_changes_nothing() -> None:
    assert without_disabled(MASTER, Listeners()) == MASTER


def test_domains_of_ours_are_listed_once() -> None:
    inbound = Inbound(maildir=Path("/in"))
    both = inbound_values(Bounces(domain="b.example"), Dmarc(reports="r.example"), inbound)
    assert both == {
        "site_bounce_domain": "b.example",
        "site_inbound_domains": "b.example, r.example",
        "site_inbound_maildir": "/in",
    }
    same = inbound_values(Bounces(domain="b.example"), Dmarc(reports="b.example"), inbound)
    assert same["site_inbound_domains"] == "b.example"


def test_a_missing_service_is_named() -> None:
    with pytest.raises(ValueError, match="no inet service '2525'"):
        without_disabled(MASTER.replace("2525", "2526"), Listeners())


def test_the_command_line_prints_both_for_an_installer(tmp_path: Path) -> None:
    settings, master = tmp_path / "franking.toml", tmp_path / "master.cf"
    settings.write_text("[listeners.alternate]\nenabled = false\n")
    master.write_text(MASTER)

    def franking(*arguments: str) -> str:
        done = CliRunner().invoke(main, ["--settings", str(settings), "postfix", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    off = load(settings).listeners
    lines = dict(line.split(" = ") for line in franking("site").splitlines())
    assert lines == site_values(off) | inbound_values(Bounces(), Dmarc(), Inbound())
    assert franking("master", str(master)) == without_disabled(MASTER, off)


def test_a_file_that_is_no_master_cf_is_named(tmp_path: Path) -> None:
    settings = tmp_path / "franking.toml"
    settings.write_text("")
    done = CliRunner().invoke(
        main, ["--settings", str(settings), "postfix", "master", str(settings)]
    )
    assert done.exit_code == 1
    assert f"{settings}: master.cf has no inet service" in done.output
