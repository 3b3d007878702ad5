"""One delivery: sign it, post it, and say how that ended.

Signed as Standard Webhooks says (https://www.standardwebhooks.com): `webhook-id`,
`webhook-timestamp` and `webhook-signature`, one signature for each live secret.
Taken is what is answered with 2xx.  410 means: nothing more, ever.  The rest is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import requests
from standardwebhooks import Webhook
from urllib3.exceptions import HTTPError

import franking
from franking.webhooks.outbox import Claimed, Outcome
from worker.webhooks.guard import Forbidden, Late, deadline

CONNECT = 5.0  # seconds, for TCP and again for TLS
READ = 65_536  # bytes of an answer; a longer one is cut off there
SHOWN = 200  # characters of it in the log


@dataclass(frozen=True)
class Target:
    """Where an endpoint is, and the secrets that sign for it, the newest first."""

    url: str
    secrets: tuple[str, ...]


def headers(webhook_id: str, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    signatures = [Webhook(secret).sign(webhook_id, now, body) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
        "Content-Type": "application/json",
        "User-Agent": f"Franking/{franking.__version__}",
        "Accept-Encoding": "identity",
    }


def post(
    http: requests.Session, target: Target, claimed: Claimed, *, timeout: float, now: datetime
) -> Outcome:
    """`timeout` in seconds for the whole answer.  Raises nothing that the other side can cause."""
    try:
        with deadline(timeout):
            response = http.post(
                target.url,
                data=claimed.body.encode(),
                headers=headers(claimed.webhook_id, claimed.body, target.secrets, now),
                timeout=(min(CONNECT, timeout), timeout),
                allow_redirects=False,
                stream=True,
            )
            with response:
                answer = response.raw.read(READ, decode_content=False)
    except Late:
        return Outcome(None, f"no whole answer within {timeout:g} s")
    except Forbidden:
        return Outcome(None, "the name leads to an address that is not of the public Internet")
    except requests.exceptions.SSLError as error:
        return Outcome(None, f"TLS: {_reason(error)}")
    except requests.exceptions.Timeout:
        return Outcome(None, "no connection or no answer in time")
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        return Outcome(None, f"{type(error).__name__}: {_reason(error)}")
    return _judged(response, answer)


def _judged(response: requests.Response, answer: bytes) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(status)
    if status == requests.codes.gone:
        return Outcome(status, "the endpoint wants no more", gone=True)
    if 300 <= status < 400:
        return Outcome(status, f"HTTP {status}: redirects are not followed")
    said = _printable(answer[: 4 * SHOWN].decode("utf-8", "replace"))
    return Outcome(status, f"HTTP {status}: {said}" if said else f"HTTP {status}")


def _reason(error: Exception) -> str:
    """The innermost cause: the layers around it name objects and addresses of ours."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    return _printable(str(inner)) or type(inner).__name__


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:SHOWN]
