"""What is due for one domain's DKIM keys; `franking.domains.rotation` says in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.domains import keys, relayzone
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record, dkim_value
from franking.domains.rotation import selectors, turns
from franking.mail.models import HeldMessage, Message
from franking.money.terms import terms_of
from franking.notices import notices
from franking.reasons import Taken

# Whether everybody sees exactly this record; None: nobody could be asked, which changes nothing.
Seen = Callable[[Record], bool | None]


def key_record(domain: Domain, key: DkimKey) -> Record:
    """What a receiver has to see, whether behind a CNAME or not."""
    name = f"{key.selector}._domainkey.{domain.name}"
    return Record("dkim", name, "TXT", dkim_value(key), zone=domain.name, key_id=key.id)


@dataclass
class Succession:
    """One domain at one moment.  `prefix` is the brand's.  What methods return is what they have
    done, in words."""

    session: Session
    domain: Domain
    now: datetime
    own: Dkim
    master_key: bytes = b""
    prefix: str = "frank"

    def __post_init__(self) -> None:
        self._keys = list(keys.keys_of(self.session, self.domain))

    def present(self, state: str | None = None) -> list[DkimKey]:
        """Oldest first."""
        return [key for key in self._keys if state in (None, key.state)]

    def pending(self, algorithm: str) -> DkimKey | None:
        return next((k for k in self.present("pending") if k.algorithm == algorithm), None)

    def add(self, algorithm: str, turn: datetime, selector: str | None = None) -> DkimKey:
        """A key to come, for which the customer is asked.  Raises Taken."""
        key = keys.make(
            self.session, self.domain, self.master_key, own=self.own, prefix=self.prefix,
            algorithm=algorithm, state="pending", activate_at=turn, now=self.now,
            selector=selector,
        )  # fmt: skip
        self._keys.append(key)
        self._ask_for(key)
        return key

    def delete(self, key: DkimKey) -> None:
        keys.delete(self.session, self.domain, key, self.own.zone)
        self._keys.remove(key)

    def settle(self, due_at: datetime | None) -> None:
        """Bring the relay's zone in line, and say when to look again."""
        relayzone.refresh(self.session, self.domain, self.present(), self.own.zone)
        self.domain.dkim_due_at = due_at
        self.session.flush()

    # --- what is over ------------------------------------------------------------------------

    def remove_old(self) -> list[str]:
        done = []
        for key in self.present("retiring"):
            if key.remove_at is not None and key.remove_at > self.now:
                continue
            if self._signed_mail_waits(key):
                key.remove_at = self.now + turns.DAY
                continue
            self.delete(key)
            done.append(f"removed key {key.selector}")
        return done

    def _signed_mail_waits(self, key: DkimKey) -> bool:
        """Mail in the hold queue was signed when it came, and may leave it at any time; what has
        just left it is under way."""
        lately = self.now - (turns.removable_at(self.now, self.own) - self.now)
        waits = (
            select(Message.queue_id)
            .join(HeldMessage)
            .where(
                or_(HeldMessage.released_at.is_(None), HeldMessage.released_at > lately),
                Message.domain_id == key.domain_id,
                Message.accepted_at <= (key.retired_at or self.now),
            )
        )
        return self.session.scalar(waits.limit(1)) is not None

    # --- what is to come ---------------------------------------------------------------------

    def announce(self) -> list[str]:
        """Make the successors of keys whose turn comes, of all algorithms at once, so that the
        customer has one errand.  What has no successor any more ends with its turn."""
        active, wanted = self.present("active"), selectors.algorithms(self.own)
        done = [self._end(key) for key in active if key.algorithm not in wanted and self._over(key)]
        coming = [
            turn
            for key in active
            if key.algorithm in wanted
            and not self.pending(key.algorithm)
            and (turn := turns.turn_of(key, self.own)) is not None
            and turn - self.own.announce_days * turns.DAY <= self.now
        ]
        for algorithm in wanted if coming else ():
            if self.pending(algorithm) or self._lasts(active, algorithm, min(coming)):
                continue
            try:
                key = self.add(algorithm, max(self.now, min(coming)))
            except Taken:  # both slots, for some days yet
                continue
            done.append(f"made key {key.selector}")
        return done

    def _over(self, key: DkimKey) -> bool:
        turn = turns.turn_of(key, self.own)
        return turn is not None and turn <= self.now

    def _end(self, key: DkimKey) -> str:
        self._retire(key)
        return f"key {key.selector} signs no more"

    def _lasts(self, active: Sequence[DkimKey], algorithm: str, turn: datetime) -> bool:
        """Whether a key of this algorithm is still young in that turn."""
        announced = [turns.announced_at(k, self.own) for k in active if k.algorithm == algorithm]
        return any(each is None or each > turn for each in announced)

    def activate(self, seen: Seen) -> list[str]:
        done = []
        for key in self.present("pending"):
            found = seen(key_record(self.domain, key)) if self.in_zone(key) else False
            if found is None:
                continue
            if not found:
                key.seen_at = None
                self._ask_for(key)
                continue
            key.seen_at = key.seen_at or self.now
            if self.now >= turns.ready_at(key, self.own):
                self._take_over(key)
                done.append(f"key {key.selector} signs")
        return done

    def in_zone(self, key: DkimKey) -> bool:
        """Whether the relay's zone was told; TXT records are the customer's business."""
        if key.method != "cname":
            return True
        entry = relayzone.entry_of(self.session, self.domain, key, self.own.zone)
        return entry is not None and entry.published == entry.value == dkim_value(key)

    def _take_over(self, key: DkimKey) -> None:
        detail = {"domain": self.domain.name, "selector": key.selector}
        for old in self.present("active"):
            if old.algorithm == key.algorithm:
                until = self._retire(old)
                if old.method == "txt":  # the customer's own record; the day after, to be sure
                    detail["keep_until"] = f"{until + turns.DAY:%Y-%m-%d}"
        key.state = "active"
        key.activated_at = self.now
        notices.give(self.session, self.domain.account_id, "dkim.rotated", detail, self.now)

    def _retire(self, key: DkimKey) -> datetime:
        terms = terms_of(self.session.get_one(Account, self.domain.account_id).plan.terms)
        hold_days = terms.hold_days if terms.on_empty == "hold" else 0
        key.state = "retiring"
        key.retired_at = self.now
        key.remove_at = turns.removable_at(self.now, self.own, hold_days)
        return key.remove_at

    def _ask_for(self, key: DkimKey) -> None:
        """Tell the customer of a record that is not there: at first, and then now and again."""
        if not turns.remind(key, self.now):
            return
        key.told_at = self.now
        record = key_record(self.domain, key).name
        detail = {"domain": self.domain.name, "selector": key.selector, "record": record}
        if key.activate_at is not None and key.activate_at > self.now:
            detail["by"] = f"{key.activate_at:%Y-%m-%d}"
        notices.give(self.session, self.domain.account_id, "dkim.publish", detail, self.now)
