"""One arrival on its way through a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.run import ACCOUNT_SCOPE, fact_digest, key_digest, key_scope
from telemhq_agents.contract.ping import KIND_CORRECTION

if TYPE_CHECKING:
    from server_stub.domain.run import Arrival
    from server_stub.store.lookups import KeyId
    from server_stub.store.roll_up import Place
    from server_stub.store.target import Target


class Entry:
    """An arrival, the tracker it came to, and the tracker and member that it is booked on.

    `outcome` and `verdicts` (JSON) are what judging made of it.
    """

    __slots__ = (
        "account_id",
        "arrival",
        "facts",
        "is_correction",
        "key_id",
        "member_id",
        "outcome",
        "run_id",
        "target",
        "tracker_id",
        "verdicts",
    )

    def __init__(self, arrival: Arrival, target: Target, run_id: int) -> None:
        self.arrival = arrival
        self.facts = arrival.facts
        self.target = target
        self.account_id = target.account_id
        self.tracker_id = target.tracker_id
        self.member_id = target.member_id
        self.run_id = run_id
        self.is_correction = arrival.facts.kind == KIND_CORRECTION
        self.outcome = ""
        self.verdicts: str | None = None
        self.key_id: KeyId | None = self._key_id(arrival.key) if arrival.key else None

    @property
    def place(self) -> Place:
        """Where this is booked."""
        return (self.account_id, self.tracker_id, self.member_id)

    @property
    def corrected(self) -> KeyId:
        """The key of the run that this correction corrects."""
        return self._key_id(self.facts.corrects)

    @property
    def fact_digest(self) -> bytes | None:
        """The digest of the collector fact that this books or corrects, None for other runs."""
        if self.is_correction or self.key_id is None:
            return fact_digest(self.facts, self.arrival.key)
        return self.key_id[2] if self.key_id[1] == ACCOUNT_SCOPE else None

    def _key_id(self, key: str) -> KeyId:
        scope = key_scope(key, self.target.tracker_id)
        return (self.account_id, scope, key_digest(key))
