"""SMTP sessions as the scenarios need them: connect, log in, offer one message."""

from __future__ import annotations

import smtplib
import ssl

from stack.running import RunningStack, Sender

OFFERED = "a@example.net"


def connect(stack: RunningStack, port: str = "submission") -> smtplib.SMTP:
    """With TLS, after EHLO; the caller closes it."""
    context = ssl.create_default_context(cafile=stack.instance.ca_file)
    number = getattr(stack.ports, port)
    if port == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", number, context=context, timeout=20)
    else:
        client = smtplib.SMTP("localhost", number, timeout=20)
        client.starttls(context=context)
    client.ehlo()
    return client


def log_in(stack: RunningStack, sender: Sender, port: str = "submission") -> smtplib.SMTP:
    client = connect(stack, port)
    client.login(sender.username, sender.secret)
    return client


def refused_login(stack: RunningStack, username: str, secret: str, port: str = "submission") -> str:
    """The reply to one AUTH PLAIN that must fail."""
    with connect(stack, port) as client:
        client.user, client.password = username, secret
        try:
            client.auth("PLAIN", client.auth_plain)
        except smtplib.SMTPAuthenticationError as error:
            return _said(error.smtp_code, error.smtp_error)
    raise AssertionError(f"{username} was let in")


def offer(
    client: smtplib.SMTP,
    sender: Sender,
    headers: str = "From: <{0}>",
    *,
    to: str | list[str] = OFFERED,
    mail_from: str | None = None,
    body: str = "Hello\r\n",
) -> str:
    """The last reply to one message; {0} in the header fields is the sender's address."""
    code, text = client.mail(sender.address if mail_from is None else mail_from)
    if code != 250:
        return _said(code, text)
    taken = 0
    for recipient in [to] if isinstance(to, str) else to:
        code, text = client.rcpt(recipient)
        taken += code == 250
    if not taken:
        if code != 421:
            client.rset()
        return _said(code, text)
    try:
        return _said(*client.data(f"{headers.format(sender.address)}\r\n\r\n{body}"))
    except smtplib.SMTPDataError as refused:  # DATA itself: the transaction goes on
        client.rset()
        return _said(refused.smtp_code, refused.smtp_error)


def queue_id(said: str) -> str:
    """Of a 250 that Postfix gave."""
    prefix = "250 2.0.0 Ok: queued as "
    assert said.startswith(prefix), said
    return said.removeprefix(prefix)


def _said(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode() if isinstance(text, bytes) else text}"
