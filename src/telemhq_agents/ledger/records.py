"""What goes into the ledger and what comes out: frozen records, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from telemhq_agents.usage import Source, Turn, UsageFact


@dataclass(frozen=True, slots=True)
class Cursor:
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
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one reading of a file (or of a few) adds; booked in one transaction with its cursors."""

    facts: list[UsageFact] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)


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
    """A ping on its way. The destination is fixed at birth; the row leaves on the server's word."""

    id: int
    destination: str
    key: str
    body: bytes
    created_ms: int
    attempts: int = 0
    next_attempt_ms: int = 0
    state: OutboxState = OutboxState.PENDING
    last_error: str = ""
