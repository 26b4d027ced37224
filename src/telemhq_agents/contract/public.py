"""What is shown to whoever has an address or a key of its own: status pages, badges, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from telemhq_agents.contract.resources import TrackerState

STATUS_DAYS = 90
MOST_SHOWN = 50
"""Trackers of one status page."""


@dataclass(frozen=True, slots=True)
class ShownTracker:
    """A tracker on a status page, under the name that the public reads."""

    tracker: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A public page; whoever knows `url` sees it, and nobody can guess that."""

    id: str
    account: str
    title: str
    url: str
    trackers: list[ShownTracker]
    created_at: str


class DayState(StrEnum):
    """How a UTC day went: down when the tracker was failing in some part of it."""

    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PublicDay:
    """One UTC day of a tracker; `failing_s` is for how long it was failing."""

    day: str
    state: DayState
    failing_s: int = 0


@dataclass(frozen=True, slots=True)
class PublicTracker:
    """A tracker as the public sees it: nothing of its runs but when the last one came.

    `up_percent` is over the days shown, null where nothing is known of them.
    """

    label: str
    state: TrackerState
    last_run_at: str | None
    up_percent: float | None
    days: list[PublicDay] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PublicStatus:
    """A status page as data, at most a minute old; `failing` counts its failing trackers."""

    title: str
    as_of: str
    failing: int
    trackers: list[PublicTracker]


@dataclass(frozen=True, slots=True)
class Badge:
    """A picture (SVG) of a tracker's state; whoever knows `url` sees it, and its name."""

    tracker: str
    url: str
    markdown: str
    created_at: str


@dataclass(frozen=True, slots=True)
class NewMetricsKey:
    """A metrics key in full: shown once, stored only as a digest."""

    id: str
    account: str
    name: str
    metrics_key: str


@dataclass(frozen=True, slots=True)
class MetricsKey:
    """A metrics key without its secret."""

    id: str
    account: str
    name: str
    prefix: str
    created_at: str
    revoked_at: str | None = None
