"""What other servers send back about a message: made to measure, in the plainest shape.

The many shapes that they really have are in `corpora/bounces/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage

GONE = "550 5.1.1 <{}>: Recipient address rejected: User unknown"


def dsn(
    *recipients: str,
    action: str = "failed",
    status: str = "5.1.1",
    said: str = GONE,
    mta: str = "mx.receiver.example",
    original: bytes = b"",
) -> bytes:
    """RFC 3464; `said` is the diagnostic, {} the recipient."""
    groups = [f"Reporting-MTA: dns; {mta}\n"]
    for recipient in recipients:
        group = f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n"
        diagnostic = said.format(recipient)
        groups.append(group + (f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else ""))
    parts = [
        (
            "text/plain",
            "I'm sorry to have to inform you that your message could not be delivered.\n",
        ),
        ("message/delivery-status", "\n".join(groups)),
        ("text/rfc822-headers", original.decode() or "Subject: Hello\n"),
    ]
    return _report("delivery-status", f"MAILER-DAEMON@{mta}", parts)


def complaint(original: bytes, recipients: Sequence[str] = (), kind: str = "abuse") -> bytes:
    """RFC 5965; without recipients it is redacted."""
    fields = [f"Feedback-Type: {kind}", "User-Agent: test/1", "Version: 1"]
    fields += [f"Original-Rcpt-To: <{recipient}>" for recipient in recipients]
    parts = [
        ("text/plain", "This is an email abuse report.\n"),
        ("message/feedback-report", "\n".join(fields) + "\n"),
        ("message/rfc822", original.decode()),
    ]
    return _report("feedback-report", "feedback@receiver.example", parts)


def absence() -> bytes:
    """RFC 3834."""
    note = EmailMessage()
    note["From"] = "anna@example.net"
    note["Subject"] = "Out of office: Hello"
    note["Auto-Submitted"] = "auto-replied"
    note.set_content("I am away until Monday.\n")
    return _wire(bytes(note))


def in_words(recipient: str) -> bytes:
    """A bounce of no standard (qmail's)."""
    note = EmailMessage()
    note["From"] = "MAILER-DAEMON@mx.receiver.example"
    note["Subject"] = "failure notice"
    note.set_content(
        "Hi. This is the qmail-send program at mx.receiver.example.\n"
        "I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        "This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        f"<{recipient}>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
    )
    return _wire(bytes(note))


def _report(kind: str, author: str, parts: Sequence[tuple[str, str]]) -> bytes:
    """RFC 6522."""
    text = (
        f"Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <{kind}@receiver.example>\n"
        f"From: {author}\nSubject: {kind}\nMIME-Version: 1.0\nAuto-Submitted: auto-replied\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="=-="\n\n'
    )
    text += "".join(f"--=-=\nContent-Type: {type_}\n\n{content}\n" for type_, content in parts)
    return _wire(f"{text}--=-=--\n".encode())


def _wire(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
