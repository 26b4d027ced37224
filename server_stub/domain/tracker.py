"""A tracker as it is stored, and what its owner's device asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import Rules


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker with the one tracking token that is in force. Times are milliseconds UTC.

    `rules` is their JSON text. `cause` is why the tracker came into its state, "" where it is new.
    """

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
    due_ms: int | None = None
    rules: str = "{}"
    rules_revision: int = 0
    failing_since_ms: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TrackerDraft:
    """What a new tracker is made from; `device_id` and `source` are empty unless a device asks."""

    account_id: int
    owner_id: int
    name: str
    device_id: str = ""
    source: str = ""
    rules: Rules = field(default_factory=Rules)


def device_rules() -> Rules:
    """Return what the tracker of a coding agent is judged by at first.

    Turns that fail are everyday life there: only assertions that people add fail such a tracker.
    """
    return Rules(fail_on_status=False)
