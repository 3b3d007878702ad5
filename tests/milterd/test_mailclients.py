"""Mail programs by the names they write; most values are from mail of public lists."""

from __future__ import annotations

import pytest

from milterd.mailclients import check_client

MAIL_PROGRAMS = [
    ("Outlook", b"X-Mailer", b"Microsoft Outlook 16.0"),
    ("Outlook", b"X-Mailer", b"Microsoft Outlook Express 6.00.2900.5931"),
    ("Outlook", b"X-Mailer", b"Microsoft Office Outlook 12.0"),
    ("Outlook", b"X-Mailer", b"Microsoft Outlook CWS, Build 9.0.2416 (9.0.2910.0)"),
    ("Outlook", b"user-agent", b"Microsoft-MacOutlook/16.96.25042021"),
    ("Windows Live Mail", b"X-Mailer", b"Microsoft Windows Live Mail 16.4.3528.331"),
    ("Apple Mail", b"X-Mailer", b"Apple Mail (2.3774.600.62)"),
    ("Apple Mail", b"X-Mailer", b"iPhone Mail (23A355)"),
    ("Apple Mail", b"X-Mailer", b"iPad Mail (20F66)"),
    ("Thunderbird", b"User-Agent", b"Mozilla Thunderbird"),
    ("Thunderbird", b"User-Agent", b"Thunderbird for Android"),
    ("Thunderbird", b"User-Agent", b"Thunderbird 1.5.0.9 (X11/20070104)"),
    (
        "Thunderbird",
        b"User-Agent",
        b"Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101\n Thunderbird/102.3.0",
    ),
    (
        "SeaMonkey",
        b"User-Agent",
        b"Mozilla/5.0 (Windows NT 10.0; rv:91.0) Gecko/20100101 SeaMonkey/2.53.18",
    ),
    ("K-9 Mail", b"User-Agent", b"K-9 Mail for Android"),
    ("eM Client", b"User-Agent", b"eM_Client/10.0.3530.0"),
    ("Mailbird", b"User-Agent", b"Mailbird/3.0.47.0"),
    ("Mailbird", b"X-Mailbird-ID", b"Mailbird-4eef5eb0@example.com"),
    ("Spark", b"X-Readdle-Message-ID", b"045adbf1-6a87-4e46-a3d7-4e49aeed6e14@Spark"),
    ("The Bat!", b"X-Mailer", b"The Bat! (v4.0.24) Professional"),
    ("Evolution", b"User-Agent", b"Evolution 3.46.4-2"),
    ("KMail", b"User-Agent", b"KMail/5.1.3 (Linux/4.4.0; KDE/5.18.0; x86_64; ; )"),
    ("Airmail", b"X-Mailer", b"Airmail (528)"),
    ("Mailspring", b"X-Mailer", b"Mailspring"),
    ("Geary", b"X-Mailer", b"geary/master~g2c4fe9b7"),
    ("Postbox", b"User-Agent", b"PostboxApp/7.0.60"),
    ("Claws Mail", b"X-Mailer", b"Claws Mail 4.1.1 (GTK 3.24.38; x86_64-pc-linux-gnu)"),
    ("NeoMutt", b"User-Agent", b"NeoMutt/20220429"),
    ("Mutt", b"User-Agent", b"Mutt/1.10.1 (2018-07-13)"),
]
APPLICATIONS = [
    b"PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)",
    b"PHP/8.2.7",
    b"nodemailer (6.9.13; +https://nodemailer.com/; SMTP/6.9.13[client:6.9.13])",
    b"SparkPost",
    b"MailChimp Mailer - **CID0**",
    b"Microsoft CDO for Windows 2000",
    b"Roundcube Webmail/1.6.5",
    b"swaks v20201014.0 jetmore.org/john/code/swaks/",
    b"git-send-email 2.43.0",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
    b"A newsletter on Thunderbird",
    b"",
]


@pytest.mark.parametrize(
    ("program", "name", "value"), MAIL_PROGRAMS, ids=[c[2].decode()[:40] for c in MAIL_PROGRAMS]
)
def test_mail_programs(program: str, name: bytes, value: bytes) -> None:
    (error,) = check_client([(b"From", b" a@example.com"), (name, b" " + value)])
    assert f"such as {program} are not allowed" in error
    assert "," not in error


@pytest.mark.parametrize("value", APPLICATIONS)
def test_applications(value: bytes) -> None:
    assert check_client([(b"X-Mailer", b" " + value), (b"User-Agent", b" " + value)]) == []


def test_the_name_counts_only_where_it_belongs() -> None:
    assert check_client([(b"Subject", b" Microsoft Outlook 16.0")]) == []
