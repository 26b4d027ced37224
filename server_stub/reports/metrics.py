"""An account's metrics for Prometheus, from the sums by quarter-hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from server_stub.domain.metric import (
    MOST_PROJECTS,
    MOST_TRACKERS,
    NONE,
    OTHER,
    Marks,
    chosen,
    raised,
    token_kinds,
)
from server_stub.domain.usage_question import UsageQuestion
from server_stub.domain.usage_window import DAY_MS, Window
from server_stub.reports.kept import Kept
from server_stub.store import metrics_keys, usage
from server_stub.store.metrics_keys import Watched
from server_stub.store.usage import Sums
from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import NANO_PER_USD, Amounts
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from server_stub.store.engine import Store
    from server_stub.store.metrics_keys import StoredMetricsKey

FRESH_S = 5.0
SETTLED_S = 600.0
RECENT_MS = 2 * DAY_MS
"""Sums older than that are added up every ten minutes, younger ones for each scrape."""

RUNS, FAILURES, COST, TOKENS = "runs", "failures", "cost", "tokens:"
_TRACKER = ("tracker", "tracker_id")
_MS_PER_SECOND = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a scrape is told."""

    watched: Sequence[Watched]
    marks: Marks
    now_ms: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Sums of the quarter-hours before `until_ms`."""

    until_ms: int
    sums: Sequence[Sums]


_settled: Kept[Settled] = Kept(SETTLED_S)
_fresh: Kept[Snapshot] = Kept(FRESH_S)


def metrics_text(
    store: Store, key: StoredMetricsKey, accept: str, now_ms: int
) -> tuple[bytes, str]:
    """Return an account's metrics in the format that a scraper accepts, and its media type.

    They are at most a few seconds old. What is told is remembered first: counters never fall, also
    across restarts and processes.
    """
    snapshot = _fresh.get((store, key.id), lambda: _snapshot(store, key, now_ms))
    with store.read() as connection:
        # Another process may have told more a moment ago.
        told = metrics_keys.marks(connection, key.id)
    snapshot = replace(snapshot, marks=raised(snapshot.marks, told))
    encode, media_type = choose_encoder(accept)
    return encode(_Exposed(snapshot)), media_type


def _snapshot(store: Store, key: StoredMetricsKey, now_ms: int) -> Snapshot:
    settled = _settled.get((store, key.id), lambda: _settle(store, key.account_id, now_ms))
    with store.read() as connection:
        watched = metrics_keys.watched(connection, key.account_id)
        before = metrics_keys.marks(connection, key.id)
        recent = usage.sums(
            connection, _question(key.account_id, Window(since_ms=settled.until_ms)), ()
        )
    apart = _told_apart(watched, before)
    now = figures([*settled.sums, *recent], {str(one.id) for one in watched}, apart, before)
    if raised(before, now) != before:
        now = store.write(lambda writing: metrics_keys.raise_marks(writing, key.id, now))
    told = [one for one in watched if str(one.id) in apart]
    return Snapshot(told, raised(before, now), now_ms)


def _settle(store: Store, account_id: int, now_ms: int) -> Settled:
    until_ms = quarter(now_ms - RECENT_MS)
    with store.read() as connection:
        sums = usage.sums(connection, _question(account_id, Window(until_ms=until_ms)), ())
    return Settled(until_ms, sums)


def _question(account_id: int, window: Window) -> UsageQuestion:
    return UsageQuestion(account_id, ("tracker", "project"), window)


def _told_apart(watched: Sequence[Watched], before: Marks) -> set[str]:
    names = {str(one.id): 0 for one in watched}
    known = {name: 0 for name in before.get(RUNS, {}) if name in names}
    return chosen(names, known, MOST_TRACKERS)


def figures(sums: Iterable[Sums], there: set[str], apart: set[str], before: Marks) -> Marks:
    """Add up what counters count: runs by tracker, cost and tokens by project.

    Of the trackers that are `there` those are told `apart`; runs of deleted ones are told nowhere,
    or they would count once more among the others.
    """
    by_tracker: dict[str, Amounts] = defaultdict(Amounts)
    by_project: dict[str, Amounts] = defaultdict(Amounts)
    for one in sums:
        tracker_id, project = one.keys
        if str(tracker_id) in there:
            by_tracker[str(tracker_id)] += one.amounts
        by_project[str(project) or NONE] += one.amounts
    sizes = {project: amounts.cost_nano for project, amounts in by_project.items()}
    projects = chosen(sizes, before.get(COST, {}), MOST_PROJECTS)
    tracked = _bundled(by_tracker, apart)
    spent = _bundled(by_project, projects)
    found: Marks = {
        RUNS: {name: max(0, amounts.runs) for name, amounts in tracked.items()},
        FAILURES: {name: max(0, amounts.failures) for name, amounts in tracked.items()},
        COST: {name: max(0, amounts.cost_nano) for name, amounts in spent.items()},
    }
    for project, amounts in spent.items():
        for kind, tokens in token_kinds(amounts).items():
            found.setdefault(TOKENS + kind, {})[project] = tokens
    return found


def _bundled(sums: Mapping[str, Amounts], apart: set[str]) -> dict[str, Amounts]:
    bundled: dict[str, Amounts] = defaultdict(Amounts)
    for name, amounts in sums.items():
        bundled[name if name in apart else OTHER] += amounts
    return bundled


class _Exposed(Collector):
    """A snapshot as the client library wants to see it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Return every metric with its samples."""
        yield from self._gauges()
        yield from self._counters()

    def _gauges(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "telemhq_tracker_up",
            "0 while a tracker is failing, else 1; paused ones are left out.",
            labels=_TRACKER,
        )
        last = GaugeMetricFamily(
            "telemhq_tracker_last_ping_timestamp_seconds",
            "When the last run of a tracker came, in Unix seconds.",
            labels=_TRACKER,
        )
        age = GaugeMetricFamily(
            "telemhq_tracker_last_ping_age_seconds",
            "How long ago the last run of a tracker came.",
            labels=_TRACKER,
        )
        for one in self._snapshot.watched:
            labels = (one.name, str(one.id))
            if one.state is not TrackerState.PAUSED:
                up.add_metric(labels, float(one.state is not TrackerState.FAILING))
            if one.last_run_ms is not None:
                ago_ms = max(0, self._snapshot.now_ms - one.last_run_ms)
                last.add_metric(labels, one.last_run_ms / _MS_PER_SECOND)
                age.add_metric(labels, ago_ms / _MS_PER_SECOND)
        yield from (up, last, age)

    def _counters(self) -> Iterator[Metric]:
        yield self._by_tracker("telemhq_runs", "Runs of a tracker.", RUNS)
        yield self._by_tracker(
            "telemhq_failures",
            "Runs of a tracker that said they failed, by status or exit code; those that only its"
            " rules made fail are not among them.",
            FAILURES,
        )
        marks = self._snapshot.marks
        cost = CounterMetricFamily(
            "telemhq_cost_usd", "What a project's runs cost, in USD.", labels=("project",)
        )
        for project, nano in sorted(marks.get(COST, {}).items()):
            cost.add_metric((project,), nano / NANO_PER_USD)
        tokens = CounterMetricFamily(
            "telemhq_tokens",
            "A project's tokens, by kinds that add up to all of them.",
            labels=("project", "kind"),
        )
        for metric in sorted(name for name in marks if name.startswith(TOKENS)):
            for project, count in sorted(marks[metric].items()):
                tokens.add_metric((project, metric.removeprefix(TOKENS)), count)
        yield from (cost, tokens)

    def _by_tracker(self, name: str, documentation: str, metric: str) -> Metric:
        counts = self._snapshot.marks.get(metric, {})
        family = CounterMetricFamily(name, documentation, labels=_TRACKER)
        for one in self._snapshot.watched:
            family.add_metric((one.name, str(one.id)), counts.get(str(one.id), 0))
        if OTHER in counts:
            family.add_metric((OTHER, ""), counts[OTHER])
        return family
