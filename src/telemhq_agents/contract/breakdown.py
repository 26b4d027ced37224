"""What the API says of a tracker's fields project by project."""

from __future__ import annotations

from dataclasses import dataclass

from telemhq_agents.contract.series import FieldKind, Number

BREAKDOWN_SCHEMA = "telemhq.breakdown/1"


@dataclass(frozen=True, slots=True)
class FieldSums:
    """A field over some runs: `runs` of them have it; the other figures are null where none has.

    `sum` is null too where it is beyond every float.
    """

    field: str
    kind: FieldKind
    unit: str
    runs: int
    sum: Number | None
    mean: Number | None
    min: Number | None
    max: Number | None


@dataclass(frozen=True, slots=True)
class ProjectSums:
    """One project's runs; `project` is "" for runs that name none."""

    project: str
    runs: int
    fields: list[FieldSums]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Fields of a tracker's latest runs by project, the one with the most runs first.

    `runs` are in it, of the `window` that were asked for or that the plan allows.
    """

    tracker: str
    window: int
    runs: int
    projects: list[ProjectSums]
    schema: str = BREAKDOWN_SCHEMA
