"""Books what is new in Codex's rollouts: which files changed, and the fold of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from codex_watcher.discover import Rollout, discover
from codex_watcher.rollout import Surroundings, is_of_this_rule, read_one, threads_of
from telemhq_agents import tail
from telemhq_agents.collecting import LedgerPort, Namer, Plan, ScanReport, collect
from telemhq_agents.ledger.records import Cursor
from telemhq_agents.reading import Job
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from pathlib import Path


def scan(
    ledger: LedgerPort,
    root: Path,
    namer: Namer,
    *,
    now_ms: int,
    only: Collection[Path] | None = None,
) -> ScanReport:
    """Book what Codex's directory `root` holds beyond the ledger's cursors.

    `only` narrows the scan to these files. A file that cannot be read becomes a problem of the report
    and stays as it is in the ledger; one that vanished meanwhile is left to the next scan.
    """
    planned = plan(ledger.cursors(Source.CODEX), root, namer, now_ms=now_ms, only=only)
    return collect(ledger, [planned])[Source.CODEX]


def plan(
    cursors: Mapping[str, Cursor],
    root: Path,
    namer: Namer,
    *,
    now_ms: int,
    only: Collection[Path] | None = None,
) -> Plan:
    """Return which rollouts below `root` are to be read; `only` as in `scan`."""
    rollouts = discover(root)
    chosen = rollouts if only is None else _among(rollouts, only)
    planning = _Planning(cursors, Surroundings(threads_of(rollouts), namer, now_ms))
    jobs, problems = planning.jobs(chosen)
    return Plan(Source.CODEX, len(chosen), jobs, problems, _forgotten(cursors, rollouts))


@dataclass(frozen=True, slots=True)
class _Planning:
    """Tells which rollouts changed since their cursors were taken."""

    cursors: Mapping[str, Cursor]
    around: Surroundings

    def jobs(self, rollouts: list[Rollout]) -> tuple[list[Job], list[str]]:
        """Return a job for each rollout that changed, and why some could not be looked at."""
        jobs: list[Job] = []
        problems: list[str] = []
        for rollout in rollouts:
            try:
                job = self._job(rollout)
            except FileNotFoundError:
                continue
            except OSError as error:
                problems.append(f"{rollout.path}: {error.strerror or error}")
                continue
            if job:
                jobs.append(job)
        return jobs, problems

    def _job(self, rollout: Rollout) -> Job | None:
        known = self.cursors.get(rollout.file_key)
        seen = tail.glance(rollout.path)
        if known and tail.unchanged(known, seen) and is_of_this_rule(known):
            return None
        behind = known.offset if known and known.inode == seen.inode else 0
        new_bytes = max(0, seen.size - behind)
        return Job(str(rollout.path), new_bytes, partial(read_one, rollout, known, self.around))


def _forgotten(cursors: Mapping[str, Cursor], rollouts: list[Rollout]) -> list[Cursor]:
    """Empty what older rules left in cursors of logs that are gone: it held remotes' URLs."""
    present = {rollout.file_key for rollout in rollouts}
    return [
        replace(cursor, mtime_ns=-1, offset=0, state={})
        for key, cursor in cursors.items()
        if key not in present and not is_of_this_rule(cursor)
    ]


def _among(rollouts: list[Rollout], only: Collection[Path]) -> list[Rollout]:
    names = {path.name for path in only}
    places = {path.resolve() for path in only}
    return [each for each in rollouts if each.path.name in names and each.path.resolve() in places]
