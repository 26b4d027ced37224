"""Booking what arrived at the ping door: keys, runs and buckets of a whole batch, once."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from server_stub.store import corrections
from server_stub.store.bulk import bulk
from server_stub.store.entries import Entry
from server_stub.store.ids import new_id, new_ids
from server_stub.store.judging import Judging
from server_stub.store.limits import OverLimit, over_payload_limit
from server_stub.store.lookups import FACT_COLUMNS, NO_TRACKER, KeyId, Row
from server_stub.store.quotas import Counting, Quota
from server_stub.store.roll_up import FIGURES, WIDTH, RollUp
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, usd
from telemhq_agents.contract.ping import KIND_RUN, Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from server_stub.domain.run import Arrival
    from server_stub.store.bulk import Bulk
    from server_stub.store.target import Target


PROJECT = FACT_COLUMNS.index("project")
WORDS = attrgetter(
    "ended_ms",
    "clamped",
    "provider",
    "model",
    "project",
    "status",
    "source",
    "session_id",
    "thread_id",
    "tool_tokens",
    "has_cost",
    "has_duration",
)
"""What `runs` keeps of a `RunFacts` before its figures, in the order of the columns."""


class Refusal(StrEnum):
    """Why a ping was not booked."""

    UNKNOWN = "unknown"
    GONE = "gone"
    REVOKED = "revoked"


class Booked(msgspec.Struct, frozen=True):
    """A ping that is in the store; `duplicate` when its key was there before, with what it held.

    `quota` is what is left of its account's, None where the plan has none.
    """

    run_id: int
    received_ms: int
    duplicate: bool = False
    recorded: Recorded | None = None
    quota: Quota | None = None


Outcome = Booked | Refusal | OverLimit
Admitted = Entry | Refusal | OverLimit


def find_target(connection: Connection, token: str) -> Target | None:
    """Return the tracker behind a tracking token, None for a token nobody was given."""
    return next(iter(bulk(connection).find_targets([token])), None)


def book(connection: Connection, arrivals: Sequence[Arrival]) -> list[Outcome]:
    """Book a batch in the caller's transaction; return each arrival's outcome, in order.

    A key is booked once, however often it is in the batch or was booked before. Sums do not depend
    on the order of arrivals; trackers are judged in that order, one process at a time.
    """
    statements = bulk(connection)
    targets = statements.lock_targets({arrival.token for arrival in arrivals})
    by_token = {target.token: target for target in targets}
    admitted = [
        _admit(arrival, by_token.get(arrival.token), run_id)
        for arrival, run_id in zip(arrivals, new_ids(len(arrivals)), strict=True)
    ]
    counting = Counting(connection, statements, _entries(admitted))
    if counting.refuses:
        admitted = [_within_quota(entry, counting) for entry in admitted]
    entries = _entries(admitted)
    fresh, repeated = _claim(connection, statements, entries, _by_key(entries))
    if fresh:
        corrections.place(connection, statements, fresh)
        _write(connection, statements, fresh)
        counting.write(connection)
    answers = _first_answers(statements, repeated) if repeated else {}
    return [_outcome(entry, answers, counting) for entry in admitted]


def refusal_of(target: Target) -> Refusal | None:
    """Return why a tracker takes no pings, None for one that does."""
    if target.gone:
        return Refusal.GONE
    return Refusal.REVOKED if target.revoked else None


def _admit(arrival: Arrival, target: Target | None, run_id: int) -> Admitted:
    if target is None:
        return Refusal.UNKNOWN
    too_large = over_payload_limit(target.plan, arrival.size)
    return refusal_of(target) or too_large or Entry(arrival, target, run_id)


def _entries(admitted: Sequence[Admitted]) -> list[Entry]:
    return [entry for entry in admitted if isinstance(entry, Entry)]


def _within_quota(entry: Admitted, counting: Counting) -> Admitted:
    if isinstance(entry, Entry) and counting.is_refused(entry):
        return OverLimit(entry.target.plan, counting.of(entry))
    return entry


def _outcome(entry: Admitted, answers: dict[int, Booked], counting: Counting) -> Outcome:
    if not isinstance(entry, Entry):
        return entry
    booked = answers.get(entry.run_id) or Booked(entry.run_id, entry.arrival.received_ms)
    quota = counting.of(entry)
    return booked if quota is None else replace(booked, quota=quota)


def _by_key(entries: list[Entry]) -> dict[KeyId, Entry]:
    """Return the first entry of each key, keys sorted so that no two processes deadlock."""
    first: dict[KeyId, Entry] = {}
    for entry in entries:
        if entry.key_id is not None:
            first.setdefault(entry.key_id, entry)
    return {key_id: first[key_id] for key_id in sorted(first)}


def _claim(
    connection: Connection, statements: Bulk, entries: list[Entry], by_key: dict[KeyId, Entry]
) -> tuple[list[Entry], list[Entry]]:
    """Split into those that book their run and those whose key is taken."""
    rows = [_key_row(key_id, entry, entry.run_id) for key_id, entry in by_key.items()]
    awaited = corrections.awaited_keys(entries, by_key)
    if awaited:
        rows += [_key_row(key_id, entry, new_id()) for key_id, entry in awaited.items()]
        rows.sort()
    won = statements.claim_keys(rows) if rows else set()
    if won & awaited.keys():
        corrections.release(connection, won & awaited.keys())
    fresh: list[Entry] = []
    repeated: list[Entry] = []
    for entry in entries:
        key_id = entry.key_id
        books = key_id is None or (key_id in won and by_key[key_id] is entry)
        (fresh if books else repeated).append(entry)
    return fresh, repeated


def _key_row(key_id: KeyId, entry: Entry, run_id: int) -> Row:
    tracker_id = NO_TRACKER if entry.is_correction else entry.target.tracker_id
    return (*key_id, tracker_id, run_id, entry.arrival.received_ms)


def _write(connection: Connection, statements: Bulk, entries: list[Entry]) -> None:
    """Insert the runs and add them to their buckets; always in this order of tables."""
    waiting = corrections.waiting(statements, entries)
    moves = [move for move in waiting if move.old != move.new]
    if moves:
        corrections.carry_out(connection, moves)
    shares = [(entry.place, entry.facts) for entry in entries]
    roll_up = RollUp(shares + [share for move in moves for share in move.shares()])
    judging = Judging(entries)
    touches = judging.touches()
    with statements.together():
        statements.insert_runs([_run_row(entry) for entry in entries])
        if touches:
            statements.touch_trackers(touches)
        roll_up.add(statements)
    judging.note(connection)
    if waiting or any(entry.is_correction for entry in entries):
        roll_up.drop_empty(connection)


def _run_row(entry: Entry) -> Row:
    """Return a row of `runs`, in the order of its columns."""
    facts = entry.facts
    return (
        entry.account_id,
        entry.tracker_id,
        entry.run_id,
        entry.member_id,
        facts.kind,
        entry.fact_digest,
        facts.revision,
        entry.arrival.received_ms,
        *WORDS(facts),
        *FIGURES(facts.amounts),
        facts.payload,
        entry.outcome,
        entry.verdicts,
    )


def _first_answers(statements: Bulk, entries: list[Entry]) -> dict[int, Booked]:
    """Return what was answered to each repeated key the first time, by the repetition's run id."""
    key_ids = sorted({entry.key_id for entry in entries if entry.key_id is not None})
    rows = statements.find_keys(key_ids)
    first = {(row[0], row[1], bytes(row[2])): (row[3], row[4]) for row in rows}
    held = _recorded(statements, entries)
    answers = {}
    for entry in entries:
        if entry.key_id is not None:
            run_id, received_ms = first[entry.key_id]
            recorded = held.get(_fact_of(entry))
            answers[entry.run_id] = Booked(run_id, received_ms, duplicate=True, recorded=recorded)
    return answers


def _fact_of(entry: Entry) -> tuple[int, bytes | None]:
    return (entry.account_id, entry.fact_digest)


def _recorded(statements: Bulk, entries: list[Entry]) -> dict[tuple[int, bytes | None], Recorded]:
    """Return what the store holds of each collector fact: its sums, corrections included.

    Nothing of a fact whose run is not there: it is to come yet, or is kept no more.
    """
    facts = {_fact_of(entry) for entry in entries}
    asked = sorted((account, digest) for account, digest in facts if digest is not None)
    if not asked:
        return {}
    sums: dict[tuple[int, bytes | None], Amounts] = {}
    revisions: dict[tuple[int, bytes | None], int] = {}
    projects: dict[tuple[int, bytes | None], str] = {}
    for row in statements.find_facts(asked):
        account_id, digest, kind, revision = row[:4]
        fact = (account_id, bytes(digest))
        sums[fact] = sums.get(fact, Amounts()) + Amounts(*row[-WIDTH:])
        revisions[fact] = max(revisions.get(fact, 0), revision)
        if kind == KIND_RUN:
            projects[fact] = row[PROJECT]
    return {
        fact: recorded(revisions[fact], sums[fact], project) for fact, project in projects.items()
    }


def recorded(revision: int, amounts: Amounts, project: str) -> Recorded:
    """Write the sums of a collector fact the way the wire shows them."""
    figures = {name: getattr(amounts, name) for name in AMOUNT_FIELDS if name != "cost_nano"}
    return Recorded(revision=revision, cost_usd=usd(amounts.cost_nano), project=project, **figures)
