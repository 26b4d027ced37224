"""What the API says of judging: rules in force, changes of state, replays, the file of trackers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.contract.rules import (
    FORBID,
    Assertion,
    Cause,
    Config,
    Rules,
    Schedule,
    Verdict,
)

FILE_VERSION = 1
MOST_REPLAYED = 1000
MOST_UPCOMING = 100


@dataclass(frozen=True, slots=True)
class TrackerRules:
    """A tracker's rules; `revision` counts their changes and is what `If-Match` compares.

    `schedule_in_words` is "" for an ad hoc tracker.
    """

    revision: int
    rules: Rules
    schedule_in_words: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a tracker's state. `at` is the moment it was due, `noted_at` when it was seen.

    `untold` says why nobody was told of it ("muted", "flapping"); it is empty where somebody was,
    and where such a change is never told.
    """

    id: str
    from_state: TrackerState
    to_state: TrackerState
    at: str
    noted_at: str
    cause: Cause
    message: str = ""
    run: str | None = None
    untold: str = ""


@dataclass(frozen=True, slots=True)
class TransitionPage:
    """Changes of state, newest first; `next_cursor` asks for the page after."""

    transitions: list[Transition]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """A run of which an assertion would not have held; `verdicts` are those that were broken."""

    run: str
    ended_at: str
    failed: bool
    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class AssertionReplay:
    """What `assertions` would have said of the latest `runs` runs.

    `failed` and `warned` count those of `broken`, newest first, by the worst that was broken.
    """

    assertions: list[Assertion]
    runs: int
    failed: int
    warned: int
    broken: list[ReplayedRun]


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in UTC and on the clock of the schedule's time zone, with its offset."""

    at: str
    local: str


@dataclass(frozen=True, slots=True)
class ScheduleExplanation:
    """A schedule in words, and the next moments at which a ping is expected."""

    schedule: Schedule
    in_words: str
    upcoming: list[Moment]


@dataclass(frozen=True, slots=True)
class FileTracker(Rules):
    """A tracker as trackers.toml has it: its name and its rules, side by side."""

    __pydantic_config__: ClassVar[Config] = FORBID

    name: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class TrackerFile:
    """Trackers as code. `version` is the file's format, `trackers` each have a name of their own."""

    __pydantic_config__: ClassVar[Config] = FORBID

    trackers: list[FileTracker]
    version: int = FILE_VERSION


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that a file changes. Of a list's item only the side is there on which it stands."""

    field: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class TrackerChange:
    """A tracker that a file adds (no `id` before it is applied), changes, leaves or deletes."""

    name: str
    id: str = ""
    owner: str = ""
    fields: list[FieldChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrackerFileChanges:
    """What applying a file did, or would do (`applied` is false)."""

    applied: bool
    added: list[TrackerChange]
    changed: list[TrackerChange]
    unchanged: list[TrackerChange]
    pruned: list[TrackerChange]
