"""One arrival on its way through a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.run import key_digest, key_scope
from server_stub.store.ids import new_id
from telemhq_agents.contract.ping import KIND_CORRECTION

if TYPE_CHECKING:
    from server_stub.domain.run import Arrival
    from server_stub.store.bulk import KeyId, Target
    from server_stub.store.roll_up import Place


class Entry:
    """An arrival, the tracker it came to, and the tracker and member that it is booked on."""

    __slots__ = ("arrival", "key_id", "member_id", "run_id", "target", "tracker_id")

    def __init__(self, arrival: Arrival, target: Target) -> None:
        self.arrival = arrival
        self.target = target
        self.tracker_id = target.tracker_id
        self.member_id = target.member_id
        self.run_id = new_id()
        self.key_id: KeyId | None = self._key_id(arrival.key) if arrival.key else None

    @property
    def account_id(self) -> int:
        return self.target.account_id

    @property
    def place(self) -> Place:
        return (self.target.account_id, self.tracker_id, self.member_id)

    @property
    def is_correction(self) -> bool:
        return self.arrival.facts.kind == KIND_CORRECTION

    @property
    def corrected(self) -> KeyId:
        """The key of the run that this correction corrects."""
        return self._key_id(self.arrival.facts.corrects)

    def _key_id(self, key: str) -> KeyId:
        scope = key_scope(key, self.target.tracker_id)
        return (self.target.account_id, scope, key_digest(key))
