"""A tracker's fields project by project, over its latest runs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.dot_path import parsed
from server_stub.domain.down_sampling import sampled
from server_stub.domain.numeric_field import meaning_of, numbers_at
from server_stub.store import series
from telemhq_agents.contract.breakdown import Breakdown, FieldSums, ProjectSums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.store.engine import Store
    from telemhq_agents.contract.series import Number


@dataclass(frozen=True, slots=True)
class BreakdownQuestion:
    """What to break down: `fields` are dot paths, `limit` how many of the latest runs."""

    account_id: int
    tracker_id: int
    fields: tuple[str, ...]
    limit: int


def tracker_breakdown(store: Store, question: BreakdownQuestion) -> Breakdown:
    """Return fields of the latest runs by project. Raises RuleError for a bad path."""
    steps = [parsed(field) for field in question.fields]
    names = list(dict.fromkeys(path[0] for path in steps))
    with store.read() as connection:
        window = series.window(connection, question.account_id, question.limit)
        found = series.by_project(
            connection, question.account_id, question.tracker_id, names=names, limit=window
        )
    columns = dict(zip(names, found.values, strict=True))
    values = {
        field: numbers_at(columns[path[0]], path[1:], field)
        for field, path in zip(question.fields, steps, strict=True)
    }
    return Breakdown(
        tracker=str(question.tracker_id),
        window=window,
        runs=len(found.projects),
        projects=[
            ProjectSums(project, runs, [_sums(field, values[field], places) for field in values])
            for project, runs, places in _groups(found.projects)
        ],
    )


def _groups(projects: Sequence[str]) -> list[tuple[str, int, list[int]]]:
    """Return each project, how many runs it has and where they are; the busiest first."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, project in enumerate(projects):
        places[project].append(place)
    counts = Counter(projects)
    order = sorted(counts, key=lambda project: (-counts[project], project))
    return [(project, counts[project], places[project]) for project in order]


def _sums(field: str, numbers: Sequence[Number | None], places: Sequence[int]) -> FieldSums:
    meaning = meaning_of(field)
    there = [number for place in places if (number := numbers[place]) is not None]
    few = sampled(there, [(0, len(there))])
    return FieldSums(
        *(field, meaning.kind, meaning.unit, len(there), _sum(there)),
        *(few.averages[0], few.least[0], few.most[0]),
    )


def _sum(there: Sequence[Number]) -> Number | None:
    """Add up exactly: whole numbers as such, others without what rounding would leave."""
    if not there:
        return None
    if all(isinstance(number, int) for number in there):
        return sum(there)
    try:
        return math.fsum(there)
    except OverflowError:
        return None
