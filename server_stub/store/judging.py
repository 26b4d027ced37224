"""Judging what arrived: tracker by tracker, in the order of arrival, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from server_stub.domain.health import Health, Memory, after_run, after_start
from server_stub.domain.judging import judge_of
from server_stub.store.changes import Change, note
from telemhq_agents.contract.ping import KIND_RUN, KIND_START
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from server_stub.domain.health import Step
    from server_stub.domain.judging import Judge
    from server_stub.domain.run import RunFacts
    from server_stub.store.entries import Entry
    from server_stub.store.lookups import Row
    from server_stub.store.target import Target

_read_memory = msgspec.json.Decoder(Memory).decode
_encode = msgspec.json.encode


class Judging:
    """What a batch makes of the trackers it meets."""

    def __init__(self, fresh: Iterable[Entry]) -> None:
        self._patients: dict[tuple[int, int], _Patient] = {}
        self._changes: list[Change] = []
        for entry in fresh:
            if is_signal(entry.arrival.facts):
                self._judge(entry)

    def touches(self) -> list[Row]:
        """Return the rows of trackers that changed, sorted."""
        changed = []
        for place in sorted(self._patients):
            patient = self._patients[place]
            touched = patient.touched()
            if touched != patient.target.touched:
                changed.append((*place, *touched))
        return changed

    def note(self, connection: Connection) -> None:
        """Write the transitions, alerts and deliveries, where there are any."""
        if self._changes:
            note(connection, self._changes)

    def _judge(self, entry: Entry) -> None:
        target = entry.target
        patient = self._patients.get(target.place)
        if patient is None:
            patient = self._patients[target.place] = _Patient(target)
        step = patient.meet(entry)
        if step.transitions or step.alerts:
            now_ms = entry.arrival.received_ms
            self._changes.append(Change(target.account_id, target.tracker_id, step, now_ms))


class _Patient:
    """A tracker while a batch is judged."""

    __slots__ = ("health", "judge", "last_run_ms", "last_status", "target")

    def __init__(self, target: Target) -> None:
        memory = _read_memory(target.memory)
        self.target = target
        self.judge: Judge = judge_of(target.rules)
        self.health = Health(TrackerState(target.state), target.due_ms, target.wake_ms, memory)
        self.last_run_ms = target.last_run_ms
        self.last_status = target.last_status

    def meet(self, entry: Entry) -> Step:
        arrival, facts = entry.arrival, entry.arrival.facts
        at_ms = arrival.received_ms
        if facts.kind == KIND_START:
            step = after_start(self.health, self.judge, facts, entry.run_id, at_ms)
        else:
            judged, step = after_run(
                self.health, self.judge, facts, arrival.fields, entry.run_id, at_ms
            )
            entry.outcome = judged.outcome.value
            entry.verdicts = _encode(judged.verdicts).decode() if judged.verdicts else None
            if self.last_run_ms is None or self.last_run_ms <= at_ms:
                self.last_run_ms, self.last_status = at_ms, facts.shown_status
        self.health = step.health
        return step

    def touched(self) -> Row:
        health = self.health
        memory = _encode(health.memory).decode()
        shown = (self.last_run_ms, self.last_status, memory)
        return (health.state.value, health.due_ms, health.wake_ms, *shown)


def is_signal(facts: RunFacts) -> bool:
    """Tell whether a ping says how its tracker is doing: a start, or the end of a run.

    What only adds usage to a run (not primary), corrects, skips or logs does not.
    """
    return facts.kind == KIND_START or (facts.kind == KIND_RUN and facts.amounts.runs > 0)
