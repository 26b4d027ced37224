"""Runs that their account's plan keeps no more: counted in archives, then gone.

A run goes together with its corrections, so that what the server tells of a collector fact
(`recorded`) is always whole. Buckets and idempotency keys stay for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, select, tuple_

from server_stub.domain.judging import Outcome
from server_stub.domain.plan import PLANS, Plan, plan_of
from server_stub.store import dialect
from server_stub.store.ids import first_of
from server_stub.store.tables import accounts, archives, runs, trackers
from telemhq_agents.clock import monotonic_ns
from telemhq_agents.contract.ping import KIND_CORRECTION, KIND_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import ColumnElement, Connection, Row

DAY_MS = 24 * 60 * 60 * 1000
LIMITED = sorted(
    name for name, plan in PLANS.items() if plan.history_days or plan.charted_runs is not None
)
"""The plans under which some runs are kept no more."""

_COLUMNS = (
    runs.c.tracker_id,
    runs.c.kind,
    runs.c.fact_digest,
    runs.c.ended_ms,
    runs.c.runs,
    runs.c.failures,
    runs.c.outcome,
)


@dataclass(frozen=True, slots=True)
class Holding:
    """A tracker whose runs are not kept for ever."""

    account_id: int
    tracker_id: int
    plan: Plan


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a slice did: how many rows went, up to which id it looked (None: to the end), how long."""

    rows: int
    upto_id: int | None
    took_ns: int


def holdings(connection: Connection, after: tuple[int, int], limit: int) -> list[Holding]:
    """Return trackers whose runs are not kept for ever, in the order of account and id."""
    asked = (
        select(trackers.c.account_id, trackers.c.id, accounts.c.plan)
        .join_from(accounts, trackers, trackers.c.account_id == accounts.c.id)
        .where(
            accounts.c.plan.in_(LIMITED),
            tuple_(trackers.c.account_id, trackers.c.id) > after,
        )
        .order_by(trackers.c.account_id, trackers.c.id)
        .limit(limit)
    )
    return [Holding(row.account_id, row.id, plan_of(row.plan)) for row in connection.execute(asked)]


def outlived(connection: Connection, holding: Holding, now_ms: int) -> int | None:
    """Return the id below which a tracker has runs that are kept no more, None where it has none.

    They are too old (a run's age is the time since it arrived), or there are too many newer ones.
    """
    oldest_id = connection.execute(select(func.min(runs.c.id)).where(*_of(holding))).scalar()
    if oldest_id is None:
        return None
    days, most = holding.plan.history_days, holding.plan.charted_runs
    by_age = 0 if days is None else first_of(now_ms - days * DAY_MS)
    by_place = 0 if most is None else _place(connection, holding, most)
    below_id = max(by_age, by_place)
    return below_id if oldest_id < below_id else None


def prune(
    connection: Connection,
    holding: Holding,
    *,
    after_id: int,
    below_id: int,
    limit: int,
    now_ns: Callable[[], int] = monotonic_ns,
) -> Pruned:
    """Archive and delete about `limit` rows of a tracker, from the oldest, behind `after_id`.

    What is deleted is what is counted: both are one transaction of the caller's.
    """
    began_ns = now_ns()
    upto_id = _upto(connection, holding, after_id, below_id, limit)
    last_id = below_id - 1 if upto_id is None else upto_id
    slice_ = (*_of(holding), runs.c.id > after_id, runs.c.id <= last_id)
    gone = _delete(connection, *slice_, runs.c.kind != KIND_CORRECTION)
    facts = {row.fact_digest for row in gone if row.fact_digest is not None}
    if facts:
        of_facts = (runs.c.account_id == holding.account_id, runs.c.fact_digest.in_(facts))
        gone += _delete(connection, *of_facts, runs.c.kind == KIND_CORRECTION)
    gone += _delete_orphans(connection, holding.account_id, slice_)
    _archive(connection, holding.account_id, gone)
    return Pruned(len(gone), upto_id, now_ns() - began_ns)


def _of(holding: Holding) -> tuple[ColumnElement[bool], ...]:
    return (
        runs.c.account_id == holding.account_id,
        runs.c.tracker_id == holding.tracker_id,
    )


def _place(connection: Connection, holding: Holding, most: int) -> int:
    """Return the id of the last of a tracker's `most` latest runs, 0 where it has no more."""
    rows = select(runs.c.id).where(*_of(holding)).order_by(runs.c.id.desc()).limit(1)
    # The index alone tells that there are too few; only runs count, which takes reading them.
    if connection.execute(rows.offset(most)).first() is None:
        return 0
    judged = rows.where(runs.c.kind == KIND_RUN, runs.c.runs > 0).offset(most - 1)
    return connection.execute(judged).scalar() or 0


def _upto(
    connection: Connection, holding: Holding, after_id: int, below_id: int, limit: int
) -> int | None:
    asked = (
        select(runs.c.id)
        .where(*_of(holding), runs.c.id > after_id, runs.c.id < below_id)
        .order_by(runs.c.id)
        .offset(limit - 1)
        .limit(1)
    )
    return connection.execute(asked).scalar()


def _delete(
    connection: Connection, *conditions: ColumnElement[bool]
) -> list[Row[*tuple[Any, ...]]]:
    return list(connection.execute(delete(runs).where(*conditions).returning(*_COLUMNS)))


def _delete_orphans(
    connection: Connection, account_id: int, slice_: tuple[ColumnElement[bool], ...]
) -> list[Row[*tuple[Any, ...]]]:
    """Delete the corrections of a slice whose run is not there; others go when their run goes."""
    left = connection.execute(select(runs.c.fact_digest).where(*slice_)).scalars().all()
    if not left:
        return []
    awaited = connection.execute(
        select(runs.c.fact_digest).where(
            runs.c.account_id == account_id,
            runs.c.fact_digest.in_({digest for digest in left if digest is not None}),
            runs.c.kind != KIND_CORRECTION,
        )
    )
    kept = set(awaited.scalars())
    orphaned = runs.c.fact_digest.is_(None) | runs.c.fact_digest.not_in(kept)
    return _delete(connection, *slice_, orphaned)


def _archive(
    connection: Connection, account_id: int, gone: Iterable[Row[*tuple[Any, ...]]]
) -> None:
    """Add what was deleted to its tracker's days, sorted so that no two processes deadlock."""
    days: dict[tuple[int, int], dict[str, int]] = {}
    for row in gone:
        # A run failed by its own word, or because it was judged so; both count once.
        failed = max(row.failures, 1) if row.outcome == Outcome.FAILED else row.failures
        if row.runs or failed:
            place = (row.tracker_id, row.ended_ms - row.ended_ms % DAY_MS)
            before = days.setdefault(
                place, {"runs": 0, "failed": 0, "first_ms": row.ended_ms, "last_ms": row.ended_ms}
            )
            before["runs"] += row.runs
            before["failed"] += failed
            before["first_ms"] = min(before["first_ms"], row.ended_ms)
            before["last_ms"] = max(before["last_ms"], row.ended_ms)
    if not days:
        return
    adding = dialect.insert(connection, archives)
    new, old = adding.excluded, archives.c
    added = adding.on_conflict_do_update(
        index_elements=["account_id", "tracker_id", "day_ms"],
        set_={
            "runs": old.runs + new.runs,
            "failed": old.failed + new.failed,
            "first_ms": case((new.first_ms < old.first_ms, new.first_ms), else_=old.first_ms),
            "last_ms": case((new.last_ms > old.last_ms, new.last_ms), else_=old.last_ms),
        },
    )
    connection.execute(
        added,
        [
            {"account_id": account_id, "tracker_id": tracker_id, "day_ms": day_ms, **counts}
            for (tracker_id, day_ms), counts in sorted(days.items())
        ],
    )
