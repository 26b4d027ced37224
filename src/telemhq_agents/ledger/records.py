"""What goes into the ledger and what comes out: frozen records, no SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.ledger.packing import Packed
from telemhq_agents.usage import Activity, SessionTotal, Source, Turn, UsageFact

LONGEST_WAIT_MS = 24 * 3600 * 1000
"""The longest that a ping is ever held back before its next attempt."""

LONGEST_DELAY_MS = 300_000
"""The longest that it is held back without having been asked to."""


class Cursor(Struct, frozen=True, array_like=True):
    """How far a log file has been read.

    `file_key` names the log's content whatever path it lies at (Codex: thread and segment; Claude
    Code: the path below `projects/`). `fingerprint` is a digest of the first line; `offset` counts
    bytes of the plain (decompressed) content up to the end of the last complete line read; `state`
    is the fold's own JSON value at that point.
    """

    source: Source
    file_key: str
    path: str
    inode: int
    size: int
    mtime_ns: int
    fingerprint: str
    offset: int
    state: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one reading of a file (or of a few) adds; booked in one transaction with its cursors.

    `packed` are further facts, as a reading process hands them over. `activities` add up, so each
    telling comes under a key of its own: none that was booked before is booked again.
    """

    facts: list[UsageFact] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    packed: list[Packed] = field(default_factory=list)
    totals: list[SessionTotal] = field(default_factory=list)
    activities: dict[str, list[Activity]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Booked:
    """What a batch changed: facts that were new, facts that grew or moved."""

    new_facts: int = 0
    changed_facts: int = 0


class OutboxState(StrEnum):
    """PENDING is sent when its time comes; PARKED and UNCERTAIN wait for a person."""

    PENDING = "pending"
    PARKED = "parked"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A ping on its way. The destination is fixed at birth; the row leaves on the server's word.

    `destination` is the id of a known destination, or a ping URL. `sending` was set before the
    ping went to a server without idempotency and is cleared by its outcome: found set, nobody
    knows whether the ping arrived.
    """

    id: int
    destination: str
    key: str
    body: bytes
    created_ms: int
    attempts: int = 0
    next_attempt_ms: int = 0
    state: OutboxState = OutboxState.PENDING
    last_error: str = ""
    sending: bool = False


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many pings are on their way, and how many wait for a person."""

    pending: int = 0
    parked: int = 0
    uncertain: int = 0


def _nothing(_cwd: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a ping tells of this machine: its id, and paths only as digests under its own salt.

    `keeps` tells of a directory whether work in it stays on this machine. `naming` is None where
    projects go by their names, else the key under which each destination is told a digest of them;
    one that is not in it is told a digest under the salt.
    """

    device_id: str
    salt: str
    keeps: Callable[[str], bool] = _nothing
    naming: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one ping and its corrections tell: one ledger bucket, or those of one window.

    `span` is the turn's key, or `w` and the start of the window in milliseconds where the source
    is coalesced. `project` is all that a key leaves out: two machines may name it differently.
    """

    source: str
    session_id: str
    thread_id: str
    span: str
    provider: str
    model: str
    project: str
    log_project: str
    quarter_ms: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of a parcel. `last_ms` is when its last response (or turn) ended.

    `activities` are what its runs did besides, summed; of a parcel that is told for the first time.
    """

    amounts: Amounts
    last_ms: int
    cwd: str = ""
    status: str = ""
    agent_version: str = ""
    failure: str = ""
    activities: tuple[Activity, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What the destination was last told of a parcel, or said that it holds.

    `shared` means that it holds more than this ledger knows: another machine read the same log.
    `named` is what the project is called there, "" for its own name: corrections must name the same.
    """

    key: str
    destination: str
    amounts: Amounts
    revision: int = 0
    shared: bool = False
    last_ms: int = 0
    named: str = ""
