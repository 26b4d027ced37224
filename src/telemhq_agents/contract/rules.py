"""What a tracker is judged by: schedule, assertions, thresholds, alerting.

One shape for the API, for `trackers.toml` and for the store. Durations end in `_s` (seconds) or
`_ms` (milliseconds); what is left out has its default. docs/reference/rules.md is the user's page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

Config = dict[str, str]
FORBID: Config = {"extra": "forbid"}
"""Read by pydantic, where FastAPI meets these records: an unknown name is refused, not dropped."""

DEFAULT_GRACE_S = 300


class Operator(StrEnum):
    """How an assertion compares what it finds at its path with its value."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    GREATER_THAN = "greater_than"
    GREATER_OR_EQUAL = "greater_or_equal"
    LESS_THAN = "less_than"
    LESS_OR_EQUAL = "less_or_equal"
    ONE_OF = "one_of"
    REGEX = "regex"


class Severity(StrEnum):
    """What a broken assertion does: fail its run, or only be noted with it."""

    FAIL = "fail"
    WARN = "warn"


class Overlap(StrEnum):
    """What a start means while the run before it is still going."""

    ALLOW = "allow"
    FAIL = "fail"


class Every(StrEnum):
    """How often a summary is mailed."""

    NEVER = "never"
    DAY = "daily"
    WEEK = "weekly"


class ChannelKind(StrEnum):
    """Where alerts go, and in what shape; `generic` is a flat one with a sentence in `text`."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    GENERIC = "generic"
    SLACK = "slack"
    DISCORD = "discord"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When pings are expected: `cron` in `timezone`, or every `interval_s` seconds; one of the two.

    A ping that is missing `grace_s` seconds after its moment fails the tracker.
    """

    __pydantic_config__: ClassVar[Config] = FORBID

    cron: str = ""
    interval_s: int = 0
    timezone: str = "UTC"
    grace_s: int = DEFAULT_GRACE_S


MOST_ASSERTIONS = 50
"""Of one tracker."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A rule for the payload: what stands at the dot path `path` compares with `value`.

    A `value` of null is a value, and has to be said. `id` is unique in its tracker; the server gives
    one where it is left out.
    """

    __pydantic_config__: ClassVar[Config] = FORBID

    path: str
    operator: Operator
    value: Any
    severity: Severity = Severity.FAIL
    id: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Maintenance: from each moment of `cron` in `timezone`, `length_s` seconds long."""

    __pydantic_config__: ClassVar[Config] = FORBID

    cron: str
    length_s: int
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts go: an e-mail address or a webhook's URL."""

    __pydantic_config__: ClassVar[Config] = FORBID

    kind: ChannelKind
    target: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """When and where alerts go.

    `repeat_s`: again so long after the last one while failing (0 = never). `least_gap_s`: no alert
    sooner than so long after the last one. From `quiet_from` to `quiet_until` (HH:MM in `timezone`)
    alerts wait. Where no e-mail address is among the `channels`, the tracker's owner is mailed too.
    """

    __pydantic_config__: ClassVar[Config] = FORBID

    muted: bool = False
    repeat_s: int = 0
    least_gap_s: int = 0
    quiet_from: str = ""
    quiet_until: str = ""
    timezone: str = "UTC"
    channels: list[Channel] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary by e-mail, at `hour` in `timezone` (weekly: on Mondays)."""

    __pydantic_config__: ClassVar[Config] = FORBID

    every: Every = Every.NEVER
    hour: int = 8
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a tracker is judged by.

    No `schedule` means ad hoc: a ping is never missed. `fail_on_status`: a run that says it failed
    (status, exit code) fails. `failures_to_fail` and `successes_to_recover` count runs in a row.
    A run shorter than `min_duration_ms` or longer than `max_duration_ms` fails, and so does a start
    without an end for that long (0 = no bound). `snoozed_until` is RFC 3339 UTC, "" for none.
    """

    __pydantic_config__: ClassVar[Config] = FORBID

    schedule: Schedule | None = None
    assertions: list[Assertion] = field(default_factory=list)
    fail_on_status: bool = True
    failures_to_fail: int = 1
    successes_to_recover: int = 1
    min_duration_ms: int = 0
    max_duration_ms: int = 0
    overlap: Overlap = Overlap.ALLOW
    snoozed_until: str = ""
    maintenance: list[Window] = field(default_factory=list)
    alerting: Alerting = field(default_factory=Alerting)
    summary: Summary = field(default_factory=Summary)


class Verdicted(StrEnum):
    """How an assertion came out."""

    HELD = "held"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one assertion came out for one run; `message` says it in a sentence, without secrets.

    Stored with the run as it was then, whatever becomes of the assertion.
    """

    assertion: str
    path: str
    operator: Operator
    severity: Severity
    verdict: Verdicted
    message: str


class Cause(StrEnum):
    """Why a tracker changed its state."""

    FIRST_RUN = "first run"
    ON_TIME = "ping arrived"
    LATE = "ping is late"
    MISSED = "ping is missing"
    RUN_FAILED = "run failed"
    ASSERTION = "assertion broken"
    TOO_SHORT = "run too short"
    TOO_LONG = "run too long"
    STUCK = "run never ended"
    OVERLAP = "runs overlap"
    RECOVERED = "recovered"
    PAUSED = "paused"
    RESUMED = "resumed"
    RULES_CHANGED = "rules changed"
