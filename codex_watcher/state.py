"""Where the fold of one rollout stands between two readings."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from codex_watcher.spend import Parts
from telemhq_agents.usage import RULE_VERSION


class History(StrEnum):
    """Whether what is being read is the thread's own.

    UNDECIDED: no turn's age has spoken yet. COPIED: the log shows a parent and a turn older than
    the thread, so all up to the first turn that is not older is the parent's. OWN: that turn was
    seen, or there is no parent.
    """

    UNDECIDED = "undecided"
    COPIED = "copied"
    OWN = "own"


class OpenTurn(msgspec.Struct):
    """A turn without an end so far.

    `told`: something beside its start spoke of it. A review's turn starts in the parent's log too,
    where nothing more is ever said of it. `nameless`: the log gave it no id (≤ 0.98).
    """

    started_ms: int
    last_ms: int
    cwd: str
    model: str
    told: bool = False
    has_context: bool = False
    nameless: bool = False


class FoldState(msgspec.Struct):
    """Where the fold of one rollout stands; a JSON value, so that reading resumes anywhere.

    `repository` is the name in the remote's URL, which itself may hold a secret and is not kept.
    `last_ms` is the last plausible time told, which a line without one was written at.
    `copied_counts` is how many token counts at the beginning are still to be passed over, where
    only a comparison with the parent's log could tell.
    """

    thread: str
    rule_version: int = RULE_VERSION
    known: bool = False
    session: str = ""
    provider: str = ""
    cli_version: str = ""
    home: str = ""
    repository: str = ""
    has_parent: bool = False
    last_ms: int = 0
    estimate: str = ""
    history: History = History.UNDECIDED
    copied_counts: int = 0
    base: Parts | None = None
    recorded: bool = False
    model: str = ""
    cwd: str = ""
    has_turn_ids: bool = False
    current: str = ""
    ended: str = ""
    open: dict[str, OpenTurn] = msgspec.field(default_factory=dict)
