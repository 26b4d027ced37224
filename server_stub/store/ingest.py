"""Booking what arrived at the ping door: keys, runs and buckets of a whole batch, once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import func, select, tuple_

from server_stub.domain.run import Arrival, fact_digest, key_digest, key_scope
from server_stub.store.bulk import Bulk, KeyId, Row, Target, bulk
from server_stub.store.ids import new_id
from server_stub.store.tables import (
    buckets,
    idempotency_keys,
    runs,
    session_buckets,
)
from telemhq_agents.clock import quarter
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, usd
from telemhq_agents.contract.ping import KIND_RUN, Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

FIGURES = attrgetter(*AMOUNT_FIELDS)
"""The figures of an `Amounts` in the order of the columns, the fastest way to get them."""


class Refusal(StrEnum):
    """Why a ping has no tracker to go to."""

    UNKNOWN = "unknown"
    GONE = "gone"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Booked:
    """A ping that is in the store; `duplicate` when its key was there before, with what it held."""

    run_id: int
    received_ms: int
    duplicate: bool = False
    recorded: Recorded | None = None


Outcome = Booked | Refusal


class Entry:
    """One arrival on its way through a batch."""

    __slots__ = ("arrival", "key_id", "member_id", "run_id", "target", "tracker_id")

    def __init__(self, arrival: Arrival, target: Target) -> None:
        self.arrival = arrival
        self.target = target
        self.tracker_id = target.tracker_id
        self.member_id = target.member_id
        self.run_id = new_id()
        self.key_id: KeyId | None = None
        if arrival.key:
            scope = key_scope(arrival.key, target.tracker_id)
            self.key_id = (target.account_id, scope, key_digest(arrival.key))

    @property
    def account_id(self) -> int:
        return self.target.account_id


def find_target(connection: Connection, token: str) -> Target | None:
    """Return the tracker behind a tracking token, None for a token nobody was given."""
    return bulk(connection).find_targets([token]).get(token)


def book(connection: Connection, arrivals: Sequence[Arrival]) -> list[Outcome]:
    """Book a batch in the caller's transaction; return each arrival's outcome, in order.

    A key is booked once, however often it is in the batch or was booked before. Sums do not depend
    on the order of arrivals.
    """
    statements = bulk(connection)
    targets = statements.find_targets({arrival.token for arrival in arrivals})
    admitted = [_admit(arrival, targets.get(arrival.token)) for arrival in arrivals]
    entries = [entry for entry in admitted if isinstance(entry, Entry)]
    by_key = _by_key(entries)
    _place_corrections(connection, entries, by_key)
    fresh, repeated = _claim(statements, entries, by_key)
    if fresh:
        with statements.together():
            _write(statements, fresh)
    answers = _first_answers(connection, repeated) if repeated else {}
    return [_outcome(entry, answers) for entry in admitted]


def refusal_of(target: Target) -> Refusal | None:
    """Return why a tracker takes no pings, None for one that does."""
    if target.gone:
        return Refusal.GONE
    return Refusal.REVOKED if target.revoked else None


def _admit(arrival: Arrival, target: Target | None) -> Entry | Refusal:
    if target is None:
        return Refusal.UNKNOWN
    return refusal_of(target) or Entry(arrival, target)


def _outcome(entry: Entry | Refusal, answers: dict[int, Booked]) -> Outcome:
    if isinstance(entry, Refusal):
        return entry
    return answers.get(entry.run_id) or Booked(entry.run_id, entry.arrival.received_ms)


def _by_key(entries: list[Entry]) -> dict[KeyId, Entry]:
    """Return the first entry of each key, keys sorted so that no two processes deadlock."""
    first: dict[KeyId, Entry] = {}
    for entry in entries:
        if entry.key_id is not None:
            first.setdefault(entry.key_id, entry)
    return {key_id: first[key_id] for key_id in sorted(first)}


def _claim(
    statements: Bulk, entries: list[Entry], by_key: dict[KeyId, Entry]
) -> tuple[list[Entry], list[Entry]]:
    """Split into those that book their run and those whose key is taken."""
    rows = [
        (*key_id, entry.tracker_id, entry.run_id, entry.arrival.received_ms)
        for key_id, entry in by_key.items()
    ]
    won = statements.claim_keys(rows) if rows else set()
    fresh: list[Entry] = []
    repeated: list[Entry] = []
    for entry in entries:
        key_id = entry.key_id
        books = key_id is None or (key_id in won and by_key[key_id] is entry)
        (fresh if books else repeated).append(entry)
    return fresh, repeated


def _place_corrections(
    connection: Connection, entries: list[Entry], by_key: dict[KeyId, Entry]
) -> None:
    """Put corrections on the tracker and the member of the run they correct, where it is known."""
    corrected = [(entry, _corrected(entry)) for entry in entries if entry.arrival.facts.corrects]
    if not corrected:
        return
    places = _places(connection, {key_id for _, key_id in corrected})
    for entry, key_id in corrected:
        beside = by_key.get(key_id)
        if key_id in places:
            entry.tracker_id, entry.member_id = places[key_id]
        elif beside is not None:
            entry.tracker_id, entry.member_id = beside.tracker_id, beside.member_id


def _corrected(entry: Entry) -> KeyId:
    corrects = entry.arrival.facts.corrects
    scope = key_scope(corrects, entry.target.tracker_id)
    return (entry.account_id, scope, key_digest(corrects))


def _places(connection: Connection, key_ids: set[KeyId]) -> dict[KeyId, tuple[int, int]]:
    """Return the tracker and the member that the runs of known keys are booked on."""
    keys = idempotency_keys.c
    rows = connection.execute(
        select(keys.account_id, keys.scope, keys.digest, runs.c.tracker_id, runs.c.member_id)
        .join_from(
            idempotency_keys,
            runs,
            (runs.c.account_id == keys.account_id)
            & (runs.c.tracker_id == keys.tracker_id)
            & (runs.c.id == keys.run_id),
        )
        .where(tuple_(keys.account_id, keys.scope, keys.digest).in_(sorted(key_ids)))
    )
    return {(row[0], row[1], bytes(row[2])): (row[3], row[4]) for row in rows}


def _write(statements: Bulk, entries: list[Entry]) -> None:
    """Insert the runs and add them to their buckets; always in this order of tables."""
    statements.insert_runs([_run_row(entry) for entry in entries])
    touches = _touches(entries)
    if touches:
        statements.touch_trackers(touches)
    added = [entry for entry in entries if any(FIGURES(entry.arrival.facts.amounts))]
    if added:
        statements.add(buckets, _summed(added, _bucket_key))
        statements.add(session_buckets, _summed(added, _session_key))


def _run_row(entry: Entry) -> Row:
    """Return a row of `runs`, in the order of its columns."""
    arrival, facts = entry.arrival, entry.arrival.facts
    return (
        entry.account_id,
        entry.tracker_id,
        entry.run_id,
        entry.member_id,
        facts.kind,
        fact_digest(facts, arrival.key),
        facts.revision,
        arrival.received_ms,
        facts.ended_ms,
        facts.clamped,
        facts.provider,
        facts.model,
        facts.project,
        facts.status,
        facts.source,
        facts.session_id,
        facts.thread_id,
        facts.tool_tokens,
        facts.has_cost,
        facts.has_duration,
        *FIGURES(facts.amounts),
        facts.payload,
    )


def _touches(entries: list[Entry]) -> list[Row]:
    """Return each tracker's latest run, trackers sorted.

    Corrections are none, and starts may arrive after the end that they belong to.
    """
    latest: dict[tuple[int, int], tuple[int, str]] = {}
    for entry in entries:
        facts = entry.arrival.facts
        if facts.kind != KIND_RUN:
            continue
        sign = (entry.arrival.received_ms, facts.shown_status)
        place = (entry.account_id, entry.tracker_id)
        if place not in latest or latest[place][0] <= sign[0]:
            latest[place] = sign
    return [(*latest[place], *place) for place in sorted(latest)]


def _bucket_key(entry: Entry) -> Row:
    facts = entry.arrival.facts
    return (
        entry.account_id,
        quarter(facts.ended_ms),
        entry.tracker_id,
        entry.member_id,
        facts.project,
        facts.model,
        facts.source,
    )


def _session_key(entry: Entry) -> Row:
    facts = entry.arrival.facts
    head, tail = _bucket_key(entry)[:4], _bucket_key(entry)[4:]
    return (*head, facts.session_id, facts.thread_id, *tail)


def _summed(entries: list[Entry], key_of: Callable[[Entry], Row]) -> list[Row]:
    """Return rows of a bucket table: sorted keys, each with the sums of its entries."""
    sums: dict[Row, Amounts] = {}
    for entry in entries:
        key, amounts = key_of(entry), entry.arrival.facts.amounts
        sums[key] = sums[key] + amounts if key in sums else amounts
    return [(*key, *FIGURES(sums[key])) for key in sorted(sums)]


def _first_answers(connection: Connection, entries: list[Entry]) -> dict[int, Booked]:
    """Return what was answered to each repeated key the first time, by the repetition's run id."""
    keys = idempotency_keys.c
    key_ids = sorted({entry.key_id for entry in entries if entry.key_id is not None})
    rows = connection.execute(
        select(keys.account_id, keys.scope, keys.digest, keys.run_id, keys.received_ms).where(
            tuple_(keys.account_id, keys.scope, keys.digest).in_(key_ids)
        )
    )
    first = {(row[0], row[1], bytes(row[2])): (row[3], row[4]) for row in rows}
    held = _recorded(connection, entries)
    answers = {}
    for entry in entries:
        if entry.key_id is not None:
            run_id, received_ms = first[entry.key_id]
            recorded = held.get(_fact_of(entry))
            answers[entry.run_id] = Booked(run_id, received_ms, duplicate=True, recorded=recorded)
    return answers


def _fact_of(entry: Entry) -> tuple[int, bytes | None]:
    return (entry.account_id, fact_digest(entry.arrival.facts, entry.arrival.key))


def _recorded(
    connection: Connection, entries: list[Entry]
) -> dict[tuple[int, bytes | None], Recorded]:
    """Return what the store holds of each collector fact: its sums, corrections included."""
    facts = {_fact_of(entry) for entry in entries}
    asked = sorted((account, digest) for account, digest in facts if digest is not None)
    if not asked:
        return {}
    rows = connection.execute(
        select(
            runs.c.account_id,
            runs.c.fact_digest,
            func.max(runs.c.revision),
            *(func.sum(runs.c[name]) for name in AMOUNT_FIELDS),
        )
        .where(tuple_(runs.c.account_id, runs.c.fact_digest).in_(asked))
        .group_by(runs.c.account_id, runs.c.fact_digest)
    )
    return {
        (row[0], bytes(row[1])): recorded(row[2], Amounts(*(int(total) for total in row[3:])))
        for row in rows
    }


def recorded(revision: int, amounts: Amounts) -> Recorded:
    """Write the sums of a collector fact the way the wire shows them."""
    figures = {name: getattr(amounts, name) for name in AMOUNT_FIELDS if name != "cost_nano"}
    return Recorded(revision=revision, cost_usd=usd(amounts.cost_nano), **figures)
