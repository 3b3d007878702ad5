"""What is due for one domain's DKIM keys; `franking.domains.rotation` says in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.domains import dkim, keys, relayzone
from franking.domains.config import Dkim
from franking.domains.models import DkimKey, Domain
from franking.domains.records import Record, dkim_value
from franking.domains.rotation import clocks, selectors, turns
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
    """One domain at one moment.  `prefix` is the brand's; `ttl`: seconds, of customers' records;
    `pairs`: made beforehand.  What methods return is what they have done, in words."""

    session: Session
    domain: Domain
    now: datetime
    own: Dkim
    master_key: bytes = b""
    prefix: str = "frank"
    ttl: int = turns.TTL
    pairs: dkim.Pairs | None = None

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
            selector=selector, pairs=self.pairs,
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
            key.remove_at = clocks.end_of(key, self.own)
            if key.remove_at > self.now:
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
        wanted = selectors.algorithms(self.own)
        done = [
            self._end(key)
            for key in self.present("active")
            if key.algorithm not in wanted and self._over(key)
        ]
        for algorithm, turn in self.coming():
            try:
                key = self.add(algorithm, turn)
            except Taken:  # both slots, for some days yet
                continue
            done.append(f"made key {key.selector}")
        return done

    def coming(self) -> list[tuple[str, datetime]]:
        """Algorithms that need a key now, and its turn.  None where an operator has said that a
        domain is the account's (`assumed`): nobody may be there to publish records."""
        if self.domain.verified_by == "assumed":
            return []
        active, wanted = self.present("active"), selectors.algorithms(self.own)
        coming = [
            turn
            for key in active
            if key.algorithm in wanted
            and not self.pending(key.algorithm)
            and (turn := turns.turn_of(key, self.own)) is not None
            and turn - self.own.announce_days * turns.DAY <= self.now
        ]
        return [
            (algorithm, max(self.now, min(coming)))
            for algorithm in (wanted if coming else ())
            if not self.pending(algorithm) and not self._lasts(active, algorithm, min(coming))
        ]

    def to_make(self) -> list[str]:
        """Algorithms of the keys that `announce` will make, if nothing changes until then."""
        return [
            algorithm
            for algorithm, _turn in self.coming()
            if keys.free_slot(self.domain, self.prefix, algorithm, self._keys)
        ]

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
            if not self.in_zone(key):  # the operator's business, see `untold`
                key.seen_at = None
                continue
            found = seen(key_record(self.domain, key))
            if found is None:
                continue
            if not found:
                key.seen_at = None
                self._ask_for(key)
                continue
            key.seen_at = key.seen_at or self.now
            if self.now >= turns.ready_at(key, self.own, self.ttl):
                self._take_over(key)
                done.append(f"key {key.selector} signs")
        return done

    def in_zone(self, key: DkimKey) -> bool:
        """Whether the relay's zone was told; TXT records are the customer's business."""
        if key.method != "cname":
            return True
        entry = relayzone.entry_of(self.session, self.domain, key, self.own.zone)
        return entry is not None and entry.published == entry.value == dkim_value(key)

    def untold(self) -> list[str]:
        """Names of records that the relay's own zone should have had for a day."""
        return [
            key_record(self.domain, key).name
            for key in self.present("pending")
            if turns.behind(key, self.now) and not self.in_zone(key)
        ]

    def _take_over(self, key: DkimKey) -> None:
        detail = {"domain": self.domain.name, "selector": key.selector}
        for old in self.present("active"):
            if old.algorithm == key.algorithm:
                until = self._retire(old)
                # A record of the customer's own: the old key, or the CNAME that they will delete
                # now that keys are TXT records.  The day after, to be sure.
                if "txt" in (old.method, key.method):
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
