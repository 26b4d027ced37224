"""What a collector learns from a log: usage facts and turns. Pure records.

They are structs, which are made and handed from process to process many times faster than
dataclasses: a first reading makes tens of thousands of them.
"""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct

RULE_VERSION = 3
"""Version of the counting rules that booked a fact (docs/explanation/counting.md)."""

MOST_TOKENS = 2**40
"""No log of ours tells of so many; a larger figure is damage, and its cost would fit nowhere."""


class Source(StrEnum):
    """Which agent a fact came from."""

    CODEX = "codex"
    CLAUDE = "claude"


class TurnStatus(StrEnum):
    """How a turn ended. RUNNING: no end was seen (yet)."""

    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    INTERRUPTED = "interrupted"


class Place(Struct, frozen=True, array_like=True, gc=False):
    """Where work was done. `cwd` never leaves the machine.

    `project` is the name that reports show (git remote's, else the directory's). `log_project` is
    a name that follows from the log alone, so that a synced copy of the log gives the same one on
    every machine: it goes into idempotency keys where `project` must not.
    """

    cwd: str = ""
    project: str = ""
    log_project: str = ""


class UsageFact(Struct, frozen=True, array_like=True, gc=False):
    """One model response that reported usage.

    `key` is the id the source gave it (`codex:resp_…`, `claude:msg_…`, or the rule in
    docs/explanation/counting.md), unique over all logs; `turn_key` is the `Turn.key` it belongs to.
    `at_ms` is when the response ended. Tokens follow `Amounts`: `input_tokens` includes cache reads
    and writes, `cache_write_1h_tokens` is the part of `cache_write_tokens` that lives for an hour.
    `estimate` says why a figure is not exact ("" = exact).

    Seen again, a fact keeps the larger of each counter and the earlier time; session, thread, turn,
    model and place are those of the sighting with the smallest (`precedence`, `at_ms`), the one
    booked first on a tie.
    """

    key: str
    source: Source
    session_id: str
    thread_id: str
    turn_key: str
    provider: str
    model: str
    place: Place
    at_ms: int
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimate: str = ""
    precedence: int = 0


class Turn(Struct, frozen=True, array_like=True, gc=False):
    """One turn of a coding agent: what counts as a run.

    `key` is unique over all logs (Codex: thread and turn id; Claude Code: the prompt's id). Seen
    again, a turn keeps the earlier start, the later end and that end's status; RUNNING never
    overwrites an end; session, thread and place are those of the sighting with the smallest
    (`precedence`, `started_ms`), the one booked first on a tie. `ended_ms` is None while no end
    was seen; `duration_ms` is wall time where the source tells it. `failure` is the kind of error
    that ended it (`rate_limit`), "" where none did or nobody says which.
    """

    key: str
    source: Source
    session_id: str
    thread_id: str
    place: Place
    started_ms: int
    ended_ms: int | None = None
    duration_ms: int | None = None
    status: TurnStatus = TurnStatus.RUNNING
    agent_version: str = ""
    precedence: int = 0
    failure: str = ""


_KIND = re.compile(r"[a-z_]{1,40}")


def failure_kind(told: object) -> str:
    """Return the kind of failure that a log names, "" where what it tells is not one plain word.

    Whatever else stands there may be a person's text, or hold one, and goes nowhere.
    """
    return told if isinstance(told, str) and _KIND.fullmatch(told) else ""


class ActivityKind(StrEnum):
    """What an agent did during a turn besides asking a model.

    TOOL is a call that ended well or that a person stopped, TOOL_FAILURE one that failed. PERMISSION
    is a question to a person, PROMPT a person's own message, FAILURE what ended a turn.
    """

    TOOL = "tool"
    TOOL_FAILURE = "tool_failure"
    PERMISSION = "permission"
    PROMPT = "prompt"
    SUBAGENT = "subagent"
    COMPACTION = "compaction"
    FAILURE = "failure"


class Activity(Struct, frozen=True, array_like=True, gc=False):
    """How often one thing happened during a turn, as its hooks told it; it adds up.

    `name` is the tool's, or the kind of failure (`rate_limit`). `duration_ms` is how long it took
    in all: of a tool without prompts and hooks, of a permission the wait for it.
    """

    turn_key: str
    kind: ActivityKind
    name: str = ""
    count: int = 1
    duration_ms: int = 0


class SessionTotal(Struct, frozen=True, array_like=True, gc=False):
    """What a session says at its end that it used of one model, requests without a line included.

    Not a fact, and never added to facts: what it holds more than the session's facts is work in
    the background (compaction, titles), where the session is `complete`: it ended normally, nothing
    followed, nothing was interrupted or copied from another session. Tokens as in `UsageFact`.
    """

    source: Source
    session_id: str
    model: str
    place: Place
    at_ms: int
    is_complete: bool
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
