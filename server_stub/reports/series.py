"""Charts as data: the values of fields over a tracker's latest runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.dot_path import parsed
from server_stub.domain.down_sampling import bounds, sampled
from server_stub.domain.numeric_field import meaning_of, numbers_at
from server_stub.store import series
from telemhq_agents.contract.series import DEFAULT_CHARTED, FieldSeries, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.store.engine import Store
    from telemhq_agents.contract.series import Number


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    """What to chart: `fields` are dot paths, `width` at most so many points (None: every run)."""

    account_id: int
    tracker_id: int
    fields: tuple[str, ...]
    limit: int = DEFAULT_CHARTED
    project: str | None = None
    width: int | None = None


def tracker_series(store: Store, question: SeriesQuestion) -> Series:
    """Return the values of fields over the latest runs. Raises RuleError for a bad path."""
    steps = [parsed(field) for field in question.fields]
    names = list(dict.fromkeys(path[0] for path in steps))
    with store.read() as connection:
        window = series.window(connection, question.account_id, question.limit)
        found = series.charted(
            connection,
            question.account_id,
            question.tracker_id,
            names=names,
            limit=window,
            project=question.project,
        )
    columns = dict(zip(names, found.values, strict=True))
    values = [
        numbers_at(columns[path[0]], path[1:], field)
        for field, path in zip(question.fields, steps, strict=True)
    ]
    return _series(question, window, found.ended_ms, values)


def _series(
    question: SeriesQuestion, window: int, ended_ms: list[int], values: list[list[Number | None]]
) -> Series:
    width = question.width
    down_sampled = width is not None and len(ended_ms) > width
    slices = bounds(len(ended_ms), width) if width is not None and down_sampled else None
    return Series(
        tracker=str(question.tracker_id),
        window=window,
        runs=len(ended_ms),
        down_sampled=down_sampled,
        began_ms=ended_ms if slices is None else [ended_ms[start] for start, _ in slices],
        ended_ms=ended_ms if slices is None else [ended_ms[end - 1] for _, end in slices],
        series=[
            _field(field, numbers, slices)
            for field, numbers in zip(question.fields, values, strict=True)
        ],
        project=question.project,
    )


def _field(
    field: str, numbers: list[Number | None], slices: Sequence[tuple[int, int]] | None
) -> FieldSeries:
    meaning = meaning_of(field)
    last = next((number for number in reversed(numbers) if number is not None), None)
    if slices is None:
        return FieldSeries(field, meaning.kind, meaning.unit, numbers, last=last)
    few = sampled(numbers, slices)
    return FieldSeries(
        field,
        meaning.kind,
        meaning.unit,
        few.averages,
        min=few.least,
        max=few.most,
        count=few.counts,
        last=last,
    )
