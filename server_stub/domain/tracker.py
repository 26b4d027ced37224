"""A tracker as it is stored, and what its owner's device asks for."""

from __future__ import annotations

from dataclasses import dataclass

from telemhq_agents.contract.resources import TrackerState


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker with the one tracking token that is in force. Times are milliseconds UTC."""

    account_id: int
    id: int
    owner_id: int
    owner_email: str
    name: str
    state: TrackerState
    device_id: str
    source: str
    created_ms: int
    last_run_ms: int | None
    last_status: str
    tracking_token: str


@dataclass(frozen=True, slots=True)
class TrackerDraft:
    """What a new tracker is made from; `device_id` and `source` are empty unless a device asks."""

    account_id: int
    owner_id: int
    name: str
    device_id: str = ""
    source: str = ""


def resumed(last_run_ms: int | None) -> TrackerState:
    """Return the state in which a paused tracker goes on: new until it has had a run."""
    return TrackerState.NEW if last_run_ms is None else TrackerState.ACTIVE
