"""What the API says of a tracker's figures: fields, series, the archive, summaries.

The moments of a series are integers, milliseconds UTC: there may be a hundred thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from telemhq_agents.contract.rules import FORBID, Config, Every

SERIES_SCHEMA = "telemhq.series/1"
DEFAULT_CHARTED = 50
MOST_CHARTED = 100_000
"""Runs: a chart shows the latest 50 of a tracker, or as many as are asked for, up to this."""

MOST_FIELDS = 20
"""Fields of one answer."""

WIDEST = 10_000
"""Points that a chart may be down-sampled to."""

Number = int | float


class FieldKind(StrEnum):
    """What a numeric field measures, as far as its name says."""

    TOKENS = "tokens"
    COST = "cost"
    DURATION = "duration"
    BYTES = "bytes"
    COUNT = "count"
    RATIO = "ratio"
    SCORE = "score"
    NUMBER = "number"


class Choice(StrEnum):
    """What a user chose for a field: always to chart it, or never."""

    PINNED = "pinned"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class FieldChoice:
    """What a user chooses for a field."""

    __pydantic_config__: ClassVar[Config] = FORBID

    choice: Choice


@dataclass(frozen=True, slots=True)
class NumericField:
    """A numeric field of a tracker's payloads, at the dot path `field`.

    `unit` is such as `ms` or `USD`, "" where its name does not tell. `last` was found in the run
    that ended at `last_at`; both are null where none of the runs looked at has the field. `runs`
    counts those that have it. `charted` is what `choice` says, else what is recommended.
    """

    field: str
    kind: FieldKind
    unit: str
    runs: int
    last: Number | None = None
    last_at: str | None = None
    recommended: bool = False
    choice: Choice | None = None
    charted: bool = False


@dataclass(frozen=True, slots=True)
class TrackerFields:
    """The numeric fields of a tracker's latest runs, charted ones first; `runs` were looked at."""

    runs: int
    fields: list[NumericField]


@dataclass(frozen=True, slots=True)
class FieldSeries:
    """One field's values, a null for each gap.

    Down-sampled, `values` are averages, and `min`, `max` and `count` (of the runs that have the
    field) say what each stands for; otherwise these three are null. `last` is the latest run's that
    has one, of all the runs.
    """

    field: str
    kind: FieldKind
    unit: str
    values: list[Number | None]
    min: list[Number | None] | None = None
    max: list[Number | None] | None = None
    count: list[int] | None = None
    last: Number | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Fields of a tracker's latest runs, oldest first by the moment each ended.

    `runs` are in it, of the `window` that were asked for or that the plan allows. Without
    `down_sampled` each point is a run. With it each is the runs from `began_ms` to `ended_ms`,
    equally many of them but for one.
    """

    tracker: str
    window: int
    runs: int
    down_sampled: bool
    began_ms: list[int]
    ended_ms: list[int]
    series: list[FieldSeries]
    project: str | None = None
    schema: str = SERIES_SCHEMA


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """What is left of one UTC day's runs; `failed` of them failed."""

    day: str
    runs: int
    failed: int
    first_at: str
    last_at: str


@dataclass(frozen=True, slots=True)
class Archive:
    """Runs that are kept no more: their counts and dates, days newest first.

    `runs`, `failed`, `first_at` and `last_at` are about all of it, `days` only about those asked for.
    """

    tracker: str
    runs: int
    failed: int
    first_at: str | None
    last_at: str | None
    days: list[ArchivedDay]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TrackerSummary:
    """A summary as it would be mailed: the latest whole day or week on the tracker's own clock.

    `html` is what goes into the mail's body. `since` is inclusive, `until` exclusive.
    """

    tracker: str
    every: Every
    period: str
    since: str
    until: str
    timezone: str
    subject: str
    text: str
    html: str
    figures: dict[str, Number | None] = field(default_factory=dict)
