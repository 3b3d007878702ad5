"""`franking doctor` on inbound mail: Postfix can deliver what comes in, and somebody reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from franking import doctor
from franking.settings import Settings


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def own(settings: Settings, tmp_path: Path, place: Path) -> Settings:
    bounces = settings.bounces.model_copy(update={"domain": "b.example"})
    inbound = settings.inbound.model_copy(update={"maildir": place})
    maillog = settings.maillog.model_copy(update={"config_directory": tmp_path})
    return settings.model_copy(update={"bounces": bounces, "inbound": inbound, "maillog": maillog})


def found(own: Settings) -> tuple[str, str]:
    finding = doctor.inbound_mail(own)
    assert (finding.status == "ok") == (not finding.fix)
    return finding.status, finding.detail


def test_it_is_looked_at_where_mail_comes_in(settings: Settings, own: Settings) -> None:
    assert "inbound mail" not in [finding.name for finding in doctor.examine(settings)]
    assert "inbound mail" in [finding.name for finding in doctor.examine(own)]
    dmarc = settings.dmarc.model_copy(update={"reports": "r.example"})
    reports = settings.model_copy(update={"dmarc": dmarc})
    assert "inbound mail" in [finding.name for finding in doctor.examine(reports)]


def test_a_maildir_that_cannot_be_written_to(own: Settings, place: Path) -> None:
    assert found(own) == ("fail", f"there is no directory {place}")
    place.mkdir(mode=0o500)
    assert found(own) == ("fail", f"its owner may not write to {place}")
    place.chmod(0o700)
    assert found(own) == ("ok", "0 waiting to be read")
    new = place / "new"
    new.mkdir(mode=0o500)
    assert found(own) == ("fail", f"its owner may not write to {new}")


def test_a_maildir_of_somebody_else(own: Settings, place: Path, tmp_path: Path) -> None:
    place.mkdir(mode=0o700)
    owner = place.stat().st_uid
    for uid, status in ((owner, "ok"), (owner + 1, "fail")):
        (tmp_path / "main.cf").write_text(
            f"site_inbound_uid = {uid}\nvirtual_uid_maps = static:$site_inbound_uid\n"
        )
        assert found(own)[0] == status
    assert found(own)[1] == f"{place} belongs to user {owner}, and Postfix writes as {owner + 1}"


def test_reports_that_nobody_reads(own: Settings, place: Path) -> None:
    new = place / "new"
    new.mkdir(mode=0o700, parents=True)
    place.chmod(0o700)
    for n in range(doctor.MOST_INBOUND):
        (new / str(n)).touch()
    assert found(own) == ("ok", "1,000 waiting to be read")
    (new / "one more").touch()
    assert found(own) == ("warn", "1,001 waiting to be read")
