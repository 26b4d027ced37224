"""Corrections are booked where the run they correct is, whichever of the two came first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, select, update

from server_stub.domain.run import ACCOUNT_SCOPE, RunFacts
from server_stub.store.lookups import NO_TRACKER
from server_stub.store.roll_up import Place
from server_stub.store.tables import idempotency_keys, runs, trackers
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.ping import KIND_CORRECTION

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from server_stub.store.bulk import Bulk
    from server_stub.store.entries import Entry
    from server_stub.store.lookups import KeyId, Row
    from server_stub.store.roll_up import Share

NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Move:
    """A stored correction that goes to the place of the run it corrects."""

    run_id: int
    old: Place
    new: Place
    facts: RunFacts

    def shares(self) -> tuple[Share, Share]:
        """Return what the move takes away, and what it adds."""
        taken = replace(self.facts, amounts=NOTHING - self.facts.amounts)
        return (self.old, taken), (self.new, self.facts)


def awaited_keys(entries: Sequence[Entry], own: Collection[KeyId]) -> dict[KeyId, Entry]:
    """Return the keys that corrections name and that are not among the batch's own.

    A batch claims them for a moment (`release`): of a correction and its run that two processes
    book at the same time, one thereby waits for the other's commit, and sees it.
    """
    corrections = [entry for entry in entries if entry.is_correction]
    return {entry.corrected: entry for entry in corrections if entry.corrected not in own}


def release(connection: Connection, key_ids: Collection[KeyId]) -> None:
    """Give back keys that were claimed for a moment."""
    keys = idempotency_keys.c
    given_back = delete(idempotency_keys).where(
        keys.account_id == bindparam("account"),
        keys.scope == bindparam("in_scope"),
        keys.digest == bindparam("of_key"),
    )
    values = [
        {"account": account_id, "in_scope": scope, "of_key": digest}
        for account_id, scope, digest in sorted(key_ids)
    ]
    connection.execute(given_back, values)


def place(connection: Connection, statements: Bulk, fresh: Sequence[Entry]) -> None:
    """Put new corrections on the tracker and the member of the run they correct, where known.

    Known is whatever was booked once, also where the run is kept no more. A correction of a
    correction stays on the tracker it came to.
    """
    corrections = [entry for entry in fresh if entry.is_correction]
    if not corrections:
        return
    beside = {entry.key_id: entry.place for entry in fresh if not entry.is_correction}
    places = beside | _places(connection, statements, corrections)
    for entry in corrections:
        _, entry.tracker_id, entry.member_id = places.get(entry.corrected, entry.place)


def _places(
    connection: Connection, statements: Bulk, corrections: Sequence[Entry]
) -> dict[KeyId | None, Place]:
    """Return where the runs of known keys were booked: on a tracker, and so on its owner."""
    found = statements.find_keys(sorted({entry.corrected for entry in corrections}))
    booked = {
        (account_id, scope, bytes(digest)): (account_id, tracker_id)
        for account_id, scope, digest, _, _, tracker_id in found
        if tracker_id != NO_TRACKER
    }
    owners = _owners(connection, set(booked.values()))
    return {key_id: (*of, owners[of]) for key_id, of in booked.items() if of in owners}


def _owners(
    connection: Connection, places: Collection[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Return the owner of each tracker, by account and id."""
    if not places:
        return {}
    # Not by pairs of them: SQLite would read the whole table.
    asked = select(trackers.c.account_id, trackers.c.id, trackers.c.owner_id).where(
        trackers.c.account_id.in_(sorted({account_id for account_id, _ in places})),
        trackers.c.id.in_(sorted({tracker_id for _, tracker_id in places})),
    )
    return {(row.account_id, row.id): row.owner_id for row in connection.execute(asked)}


def waiting(statements: Bulk, fresh: Sequence[Entry]) -> list[Move]:
    """Return the stored corrections that came before their runs, as moves to where these are."""
    runs_by_fact = {
        (entry.account_id, entry.key_id[2]): entry
        for entry in fresh
        if entry.key_id is not None and entry.key_id[1] == ACCOUNT_SCOPE and not entry.is_correction
    }
    if not runs_by_fact:
        return []
    found = statements.find_facts(sorted(runs_by_fact))
    return [
        _move(row, runs_by_fact[row[0], bytes(row[1])].place)
        for row in found
        if row[2] == KIND_CORRECTION
    ]


def _move(row: Row, new: Place) -> Move:
    account_id, _, _, _, tracker_id, member_id, run_id, ended_ms, *words_and_figures = row
    project, model, source, session_id, thread_id, *figures = words_and_figures
    facts = RunFacts(
        ended_ms,
        Amounts(*figures),
        project=project,
        model=model,
        source=source,
        session_id=session_id,
        thread_id=thread_id,
    )
    return Move(run_id, (account_id, tracker_id, member_id), new, facts)


def carry_out(connection: Connection, moving: Sequence[Move]) -> None:
    """Move the rows of `runs`; the buckets follow by the moves' shares."""
    moved = (
        update(runs)
        .where(
            runs.c.account_id == bindparam("account"),
            runs.c.tracker_id == bindparam("tracker"),
            runs.c.id == bindparam("run"),
        )
        .values(tracker_id=bindparam("new_tracker"), member_id=bindparam("new_member"))
    )
    values = [
        {
            "account": move.old[0],
            "tracker": move.old[1],
            "run": move.run_id,
            "new_tracker": move.new[1],
            "new_member": move.new[2],
        }
        for move in moving
    ]
    connection.execute(moved, values)
