"""What an application written for the relays S2, S3 and S4 relies on, row by row."""

from __future__ import annotations

import re

import expect
import pytest
from sessions import log_in, offer, queue_id

from franking.accounts import account as accounts
from franking.accounts.rules import PROFILES, Rules, parse_window
from franking.mail import suppressions
from stack.running import RunningStack, Sender

pytestmark = pytest.mark.one_engine

FROM = "From: <{0}>"


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("rows-s4")


@pytest.fixture(scope="module")
def compatible(stack: RunningStack) -> Sender:
    """On a plan with the profile `mailersend`, which denies programs as attachments."""
    rules = PROFILES["mailersend"].model_copy(update={"attachments_denied": ("exe",)})
    return stack.sender("rows-compatible", rules=rules)


def test_s2_6_no_reply_and_no_message_shows_the_private_key(
    stack: RunningStack, sender: Sender
) -> None:
    with log_in(stack, sender) as client:
        queue_id(offer(client, sender, to="key@example.net"))
    content = stack.delivered("key@example.net").content
    assert b"DKIM-Signature" in content and b"PRIVATE" not in content
    assert "PRIVATE" not in stack.log("milterd") + stack.log("mail")


def test_s2_13_a_suppressed_recipient_is_refused_and_others_pass(
    stack: RunningStack, sender: Sender
) -> None:
    with stack.database.transaction() as session:
        account = accounts.get(session, sender.account)
        suppressions.add(session, account, "gone@EXAMPLE.net", reason="hard_bounce")
    with log_in(stack, sender) as client:
        client.mail(sender.address)
        code, text = client.rcpt("Gone@example.net")
        assert code == 550 and text.startswith(b"5.7.1 ")
        assert re.search(rb"Recipient suppressed \(hard_bounce \d{4}-\d\d-\d\d\)", text)
        assert client.rcpt("here@example.net")[0] == 250
        assert client.data(f"From: <{sender.address}>\r\n\r\nHello\r\n")[0] == 250
    stack.delivered("here@example.net")


def test_s3_2_mail_is_tried_again(stack: RunningStack, sender: Sender) -> None:
    with log_in(stack, sender) as client:
        identity = queue_id(offer(client, sender, to="greylist-rows@example.net"))
    stack.until(lambda: "deferred" in expect.kinds(stack, identity))
    stack.flush()
    stack.until(lambda: expect.kinds(stack, identity)[-1] == "delivered")


def test_s3_6_the_sandbox_takes_mail_without_sending_it(stack: RunningStack) -> None:
    sender = stack.sender("rows-sandbox", mode="test")
    assert "_test_" in sender.secret
    before = expect.available(stack, sender)
    with log_in(stack, sender) as client:
        identity = queue_id(offer(client, sender, to="sandbox@example.net"))
    assert expect.stored(stack, identity).status == "sandboxed"
    assert expect.kinds(stack, identity) == ["accepted", "sandboxed"]
    assert expect.available(stack, sender) == before
    assert not [d for d in stack.deliveries() if "sandbox@example.net" in d.recipients]


def test_s4_4_the_reply_names_the_message(stack: RunningStack, sender: Sender) -> None:
    with log_in(stack, sender) as client:
        identity = queue_id(offer(client, sender, to="named@example.net"))
    assert expect.stored(stack, identity).account_id == sender.account_id


def test_s4_5_all_errors_in_one_reply(
    stack: RunningStack, compatible: Sender, sender: Sender
) -> None:
    headers = f"{FROM}\r\nTo: a\r\nTo: b\r\nX-MailerSend-Tags: a, b, c, d, e, f"
    with log_in(stack, compatible) as client:
        said = offer(client, compatible, headers)
        assert said.startswith("450 4.6.0 The given data was invalid. ")
        assert len(said.split(",")) >= 3, said
    with log_in(stack, sender) as client:
        said = offer(client, sender, headers)
        assert said.startswith("550 5.6.0 The given data was invalid. ")


@pytest.mark.parametrize(
    "header",
    ["X-Franking-Tags", "X-MailerSend-Tags"],
)
def test_s4_6_tags(stack: RunningStack, sender: Sender, header: str) -> None:
    to = f"{header.lower()}@example.net"
    body = f"--b\r\n{header}: inner\r\n\r\nHello\r\n--b--\r\n"
    mime = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"'
    with log_in(stack, sender) as client:
        said = offer(
            client, sender, f'{FROM}\r\n{mime}\r\n{header}: "a 1, b, c, d, e"', to=to, body=body
        )
        tags = expect.stored(stack, queue_id(said)).tags
        assert tags == ["a 1", "b", "c", "d", "e"], "those of the main header only"
        said = offer(client, sender, f'{FROM}\r\n{header}: "a, b, c, d, e, f"')
        assert said.startswith("550 5.6.0 ") and "at most 5" in said
    content = stack.delivered(to).content
    assert header.encode() not in content.partition(b"\r\n\r\n")[0]


def test_s4_7_the_from_domain_must_be_verified(stack: RunningStack, sender: Sender) -> None:
    with log_in(stack, sender) as client:
        said = offer(client, sender, "From: <me@unverified.test>")
    assert said.startswith("550 5.7.1 From domain unverified.test is not verified")


def test_s4_8_a_subject_is_required(
    stack: RunningStack, compatible: Sender, sender: Sender
) -> None:
    with log_in(stack, compatible) as client:
        for headers in (FROM, f"{FROM}\r\nSubject: "):
            said = offer(client, compatible, headers)
            assert said.startswith("450 ") and "subject" in said.lower()
        assert offer(client, compatible, f"{FROM}\r\nSubject: x").startswith("250 ")
    with log_in(stack, sender) as client:
        assert offer(client, sender).startswith("250 "), "only where the plan says so"


def test_s4_9_custom_headers_are_dropped(
    stack: RunningStack, compatible: Sender, sender: Sender
) -> None:
    headers = (
        f"{FROM}\r\nSubject: x\r\nX-Custom: 1\r\nx-custom: 2\r\nReply-To: <r@example.net>\r\n"
        "List-Unsubscribe: <https://example.net/u>\r\nReferences: <a@b>\r\nFeedback-ID: a:b:c:d"
    )
    for who, kept in ((compatible, 0), (sender, 2)):
        to = f"custom-{who.account}@example.net"
        with log_in(stack, who) as client:
            queue_id(offer(client, who, headers, to=to))
        arrived = stack.delivered(to).content
        assert len(re.findall(rb"(?mi)^x-custom: ", arrived)) == kept
        for name in (b"Reply-To", b"List-Unsubscribe", b"References", b"Feedback-ID"):
            assert name in arrived
        expect.assert_signed(stack, who, [arrived])


@pytest.mark.parametrize("disguise", ["tool.exe", "tool.pdf"], ids=["by-name", "by-content"])
def test_s4_12_attachment_types(stack: RunningStack, compatible: Sender, disguise: str) -> None:
    headers = (
        f'{FROM}\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"'
    )
    part = (
        "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="{}"\r\n\r\n{}\r\n--b--\r\n'
    )
    program = (
        "TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAA=="
    )
    with log_in(stack, compatible) as client:
        said = offer(client, compatible, headers, body=part.format(disguise, program))
        assert said.startswith("450 4.6.0 ") and "exe" in said, said
        said = offer(client, compatible, headers, body=part.format("note.txt", "SGVsbG8="))
        assert said.startswith("250 ")


def test_s4_13_limits_by_source_address(stack: RunningStack) -> None:
    rules = Rules(windows=(parse_window("2/day by address"),))
    sender = stack.sender("rows-address", rules=rules)
    with log_in(stack, sender) as client:
        for _ in range(2):
            assert offer(client, sender).startswith("250 ")
        said = offer(client, sender)
        assert said.startswith("450 4.7.1 ") and "Rate limit exceeded (2 " in said
        assert re.search(r"retry in \d+ s", said)


def test_s4_14_five_messages_on_a_connection(stack: RunningStack, compatible: Sender) -> None:
    with log_in(stack, compatible) as client:
        for _ in range(5):
            assert offer(client, compatible, f"{FROM}\r\nSubject: x").startswith("250 ")
        assert offer(client, compatible).startswith("421 4.7.0 ")
    with log_in(stack, compatible) as client:
        assert offer(client, compatible, f"{FROM}\r\nSubject: x").startswith("250 ")


def test_s4_15_the_daily_quota_counts_each_message(stack: RunningStack) -> None:
    sender = stack.sender("rows-quota", rules=Rules(daily_quota=2))
    with log_in(stack, sender) as client:
        assert offer(client, sender, "From: <me@unverified.test>").startswith("550 ")
        for _ in range(2):
            assert offer(client, sender, to=["a@example.net", "b@example.net"]).startswith("250 ")
        said = offer(client, sender)
        assert said.startswith("452 4.5.3 ") and "Daily quota exceeded" in said


@pytest.mark.parametrize(
    "header",
    [
        "X-Mailer: Microsoft Outlook 16.0",
        "User-Agent: Mozilla Thunderbird",
        "X-Mailer: Apple Mail (2.3774.600.62)",
    ],
)
def test_s4_16_no_desktop_clients(stack: RunningStack, compatible: Sender, header: str) -> None:
    with log_in(stack, compatible) as client:
        said = offer(client, compatible, f"{FROM}\r\nSubject: x\r\n{header}")
        assert said.startswith("450 4.6.0 ") and "mail programs" in said
