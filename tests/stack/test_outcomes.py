"""What becomes of messages that are not simply delivered."""

from __future__ import annotations

import smtplib
import ssl
import subprocess

import expect
import pytest

from stack.running import RunningStack, Sender


@pytest.fixture(scope="module")
def sender(stack: RunningStack) -> Sender:
    return stack.sender("outcomes")


def send(stack: RunningStack, sender: Sender, *to: str) -> str:
    """Returns the queue ID."""
    with smtplib.SMTP("localhost", stack.ports.submission, timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=stack.instance.ca_file))
        client.login(sender.username, sender.secret)
        client.mail(sender.address)
        for recipient in to:
            assert client.rcpt(recipient)[0] == 250
        code, text = client.data(f"From: {sender.address}\r\nSubject: x\r\n\r\nHello\r\n")
        assert code == 250
        return text.decode().rpartition(" ")[2]


def shown(stack: RunningStack, queue_id: str, status: str) -> dict[str, object]:
    """Wait for a status, then what the CLI says."""

    def there() -> dict[str, object] | None:
        data: dict[str, object] = stack.cli("message", "show", queue_id)
        return data if data["status"] == status else None

    return stack.until(there)


def test_bounced(stack: RunningStack, sender: Sender) -> None:
    data = shown(stack, send(stack, sender, "bounce@example.net"), "bounced")
    (event,) = (e for e in data["events"] if e["event"] == "bounced")  # type: ignore[attr-defined]
    assert (event["event"], event["smtp_code"], event["enhanced_code"]) == ("bounced", 550, "5.1.1")
    assert "does not exist" in event["reply"]
    assert data["charge"]["state"] == "captured"  # type: ignore[index]


def test_each_recipient_has_its_own_end(stack: RunningStack, sender: Sender) -> None:
    queue_id = send(stack, sender, "fine@example.net", "Full@example.net", "bounce2@example.net")
    data = shown(stack, queue_id, "partial")
    ends = {r["address"].lower(): r["status"] for r in data["recipients"]}  # type: ignore[attr-defined]
    assert ends == {
        "fine@example.net": "delivered",
        "full@example.net": "bounced",
        "bounce2@example.net": "bounced",
    }


def test_the_same_recipient_twice_is_one(stack: RunningStack, sender: Sender) -> None:
    queue_id = send(stack, sender, "twice@example.net", "Twice@example.net")
    data = shown(stack, queue_id, "delivered")
    assert len(data["recipients"]) == 1  # type: ignore[arg-type]


def test_deferred_then_delivered(stack: RunningStack, sender: Sender) -> None:
    queue_id = send(stack, sender, "greylist@example.net")
    shown(stack, queue_id, "deferred")
    stack.flush()
    shown(stack, queue_id, "delivered")
    assert expect.kinds(stack, queue_id) == ["accepted", "deferred", "delivered"]


def test_expired(stack: RunningStack, sender: Sender) -> None:
    """`postsuper -e` ends a message as if its lifetime were over."""
    queue_id = send(stack, sender, "defer@example.net", "other@example.net")
    shown(stack, queue_id, "deferred")
    config = str(stack.instance.postfix)
    subprocess.run(["postsuper", "-c", config, "-e", queue_id], check=True, capture_output=True)
    stack.flush()
    data = shown(stack, queue_id, "partial")
    ends = {r["address"]: r["status"] for r in data["recipients"]}  # type: ignore[attr-defined]
    assert ends == {"defer@example.net": "expired", "other@example.net": "delivered"}


def postsuper(stack: RunningStack, action: str, queue_id: str) -> None:
    command = ["postsuper", "-c", str(stack.instance.postfix), action, queue_id]
    subprocess.run(command, check=True, capture_output=True)


def test_what_an_operator_does_is_told(stack: RunningStack, sender: Sender) -> None:
    """Held, released, requeued; the queue file's new ID leads to the message, too."""
    queue_id = send(stack, sender, "defer-operator@example.net")
    shown(stack, queue_id, "deferred")
    postsuper(stack, "-h", queue_id)
    shown(stack, queue_id, "held")
    postsuper(stack, "-H", queue_id)
    stack.until(lambda: expect.kinds(stack, queue_id).count("released") == 1)
    postsuper(stack, "-r", queue_id)
    stack.flush()  # pickup, too, which looks once a minute by itself
    stack.until(lambda: expect.kinds(stack, queue_id).count("deferred") == 2)
    told = [e for e in expect.events(stack, queue_id) if e.kind in {"held", "released", "requeued"}]
    assert [event.kind for event in told] == ["held", "released", "requeued"]
    assert {event.detail["by"] for event in told} == {"operator"}
    again = shown(stack, told[-1].detail["requeued_as"], "deferred")
    assert again["queue_id"] == queue_id


def test_a_removed_message_stays_charged(stack: RunningStack, sender: Sender) -> None:
    """The operator's own doing is no refund by itself: the ledger tells what happened."""
    queue_id = send(stack, sender, "defer-removed@example.net")
    shown(stack, queue_id, "deferred")
    config = str(stack.instance.postfix)
    subprocess.run(["postsuper", "-c", config, "-d", queue_id], check=True, capture_output=True)
    assert expect.reservations(stack, sender)[queue_id] == "captured"


def test_doctor_finds_nothing_wrong(stack: RunningStack, sender: Sender) -> None:
    findings = stack.cli("doctor")["findings"]
    assert {f["name"]: f["status"] for f in findings if f["status"] != "ok"} == {}
