"""Where settings come from, and what a typo does."""

from __future__ import annotations

from pathlib import Path

import pytest

from franking.settings import SettingsError, load

KEY = "A" * 43 + "="


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "franking.toml"
    path.write_text(f'node = "relay1"\nmaster_key = "{KEY}"\n[maillog]\nbatch = 7\n')
    return path


def test_file_then_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRANKING_SETTINGS", str(file))
    monkeypatch.setenv("FRANKING_MAILLOG__POLL", "0.5")
    monkeypatch.setenv("FRANKING_NODE", "relay2")
    settings = load()
    assert (settings.node, settings.maillog.batch, settings.maillog.poll) == ("relay2", 7, 0.5)
    assert len(settings.master_key_bytes()) == 32


def test_systemd_credentials(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LoadCredential=master_key:… puts a file of that name into $CREDENTIALS_DIRECTORY."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "master_key").write_text("B" * 43 + "=\n")
    (credentials / "panel__secret_key").write_text("s" * 40)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    settings = load(file)
    assert settings.master_key.get_secret_value() == "B" * 43 + "="
    assert settings.panel.secret_key.get_secret_value() == "s" * 40


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('nodee = "x"', "nodee"),
        ("[maillog]\nbach = 7", "maillog.bach"),
        ("[policyd]\nthreads = 0", "policyd.threads"),
        ('node = "Not A Name"', "node"),
        ("node = ", "franking.toml"),
    ],
)
def test_a_typo_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "franking.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=named):
        load(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("key", ["", "not base64!", "QUJD"])
def test_a_wrong_master_key_says_how_to_make_one(file: Path, key: str) -> None:
    with pytest.raises(SettingsError, match="master_key"):
        load(file, master_key=key).master_key_bytes()


def test_secrets_are_masked(file: Path) -> None:
    described = load(file, database_url="postgresql://franking:hunter2@db/franking").describe()
    assert KEY not in str(described)
    assert described["database_url"] == "postgresql://franking:***@db/franking"
