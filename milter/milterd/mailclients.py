"""Desktop and mobile mail programs, recognised by the name that they put into each message.

A plan may be for applications only.  The names below are those that the programs write today, and
the ones that old installations still do; webmail is not among them, because it sends from a server.
Nothing here is proof: a field can be left out or forged.  It tells an honest customer early.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

NAMING = (b"user-agent", b"x-mailer")
# Fields that only this program writes, because it names itself in no other.
OWN_FIELDS = {b"x-readdle-message-id": "Spark", b"x-mailbird-id": "Mailbird"}

# (what a refusal calls it, how the value begins); the order matters only where one begins another.
PROGRAMS = (
    ("Outlook", "Microsoft Outlook"),  # 16.0; also "Microsoft Outlook Express 6.00.2900.5931"
    ("Outlook", "Microsoft Office Outlook"),  # 12.0, the 2007 one
    ("Outlook", "Microsoft-MacOutlook/"),
    ("Outlook", "Outlook-iOS"),
    ("Outlook", "Outlook-Android"),
    ("Windows Mail", "Microsoft Windows Mail"),
    ("Windows Live Mail", "Microsoft Windows Live Mail"),
    ("Windows Live Mail", "Windows Live Mail"),
    ("Entourage", "Microsoft-Entourage/"),
    ("Apple Mail", "Apple Mail ("),
    ("Apple Mail", "iPhone Mail ("),
    ("Apple Mail", "iPad Mail ("),
    ("Apple Mail", "iPod Mail ("),
    ("Apple Mail", "Apple Watch Mail"),
    ("Thunderbird", "Mozilla Thunderbird"),
    ("Thunderbird", "Thunderbird"),  # "Thunderbird 1.5.0.9 (X11/20070104)", "… for Android"
    ("Betterbird", "Betterbird"),
    ("K-9 Mail", "K-9 Mail"),
    ("eM Client", "eM_Client/"),
    ("eM Client", "eM Client"),
    ("Mailbird", "Mailbird"),
    ("Postbox", "Postbox"),  # "Postbox 5.0.25 (Macintosh/20180808)"
    ("Postbox", "PostboxApp/"),
    ("The Bat!", "The Bat!"),
    ("Evolution", "Evolution"),  # "Evolution 3.46.4-2", "Evolution/1.4.5"
    ("Evolution", "Ximian Evolution"),
    ("KMail", "KMail"),
    ("Spark", "Spark"),
    ("Airmail", "Airmail"),
    ("MailMate", "MailMate"),
    ("Mailspring", "Mailspring"),
    ("Canary Mail", "Canary"),
    ("BlueMail", "BlueMail"),
    ("FairEmail", "FairEmail"),
    ("Claws Mail", "Claws Mail"),
    ("Sylpheed", "Sylpheed"),
    ("Geary", "geary/"),
    ("Trojita", "Trojita"),
    ("Balsa", "Balsa"),
    ("Foxmail", "Foxmail"),
    ("Becky!", "Becky!"),
    ("Pegasus Mail", "Pegasus Mail"),
    ("Eudora", "QUALCOMM Windows Eudora"),
    ("Eudora", "Eudora"),
    ("Opera Mail", "Opera Mail/"),
    ("Opera Mail", "Opera M2/"),
    ("Incredimail", "IncrediMail"),
    ("Lotus Notes", "Lotus Notes"),
    ("HCL Notes", "HCL Notes"),
    ("Mutt", "Mutt/"),
    ("NeoMutt", "NeoMutt/"),
    ("Alpine", "Alpine"),
    ("aerc", "aerc"),
    ("Gnus", "Gnus/"),
    ("mu4e", "mu4e"),
    ("Wanderlust", "Wanderlust/"),
)
# Built on a browser, and naming it first: "Mozilla/5.0 (X11; …) Gecko/20100101 Thunderbird/102.3".
_ENGINE = re.compile(rb"(?is)Mozilla/\d.*\b(Thunderbird|SeaMonkey|Postbox|Icedove)/")
# A name ends where its letters end: "SparkPost" is none of these.
_BEGINS = re.compile(
    "|".join(
        f"({re.escape(begin)}{'(?![a-z])' if begin[-1].isalnum() else ''})" for _, begin in PROGRAMS
    ).encode(),
    re.IGNORECASE,
)


def check_client(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """The clause for a message that a mail program wrote."""
    for name, value in headers:
        key = name.lower()
        program = _program(value) if key in NAMING else OWN_FIELDS.get(key)
        if program is not None:
            return [
                f"mail programs such as {program} are not allowed here; send from an application"
            ]
    return []


def _program(value: bytes) -> str | None:
    text = value.strip()[:500]
    match = _BEGINS.match(text)
    if match is not None and match.lastindex is not None:
        return PROGRAMS[match.lastindex - 1][0]
    engine = _ENGINE.match(text)
    return None if engine is None else engine[1].decode("ascii")
