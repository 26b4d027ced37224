"""Sessions and their turns, one by one: one shape for the ledger, the server and the terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts, nano, usd

SESSIONS_SCHEMA = "telemhq.sessions/1"
SESSION_SCHEMA = "telemhq.session/1"
DEFAULT_SESSIONS = 20
MOST_SESSIONS = 1000
"""Sessions of one answer."""

_WITHOUT_MONEY = tuple(name for name in AMOUNT_FIELDS if name != "cost_nano")


class Outcome(StrEnum):
    """How a session or a turn came out.

    RUNNING: no end was seen, and something happened within the last half hour. UNFINISHED: no end
    was seen, and nothing happened since.
    """

    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums, as in a usage report, and `duration_ms` beside them. Money is USD."""

    runs: int = 0
    failures: int = 0
    responses: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    unpriced_tokens: int = 0
    duration_ms: int = 0
    cost_usd: float = 0.0

    def amounts(self) -> Amounts:
        """Return the sums as they add up, money in nano-USD."""
        named = {name: getattr(self, name) for name in _WITHOUT_MONEY}
        return Amounts(**named, cost_nano=nano(self.cost_usd))


def spent(amounts: Amounts) -> dict[str, Any]:
    """Return sums by the names of `Spent`."""
    named = {name: getattr(amounts, name) for name in _WITHOUT_MONEY}
    return named | {"cost_usd": usd(amounts.cost_nano)}


def as_json(told: Spent) -> dict[str, Any]:
    """Return a record by name: what it is first, its sums last."""
    sums = asdict(Spent())
    named = asdict(told)
    return {name: named[name] for name in (*(n for n in named if n not in sums), *sums)}


@dataclass(frozen=True, slots=True)
class Session(Spent):
    """What one session used within the time asked for, and how it came out.

    Of times nothing finer than `exact_to_ms` is known: the server keeps quarter-hours. `active_ms`
    is how long its turns took: side by side they count once in a ledger and each by itself on a
    server. `outcome` is that of its last turn in a ledger; on a server a session failed where any of
    its runs did. Projects and models come in the order of what they cost. `threads` counts the
    main one, sub-agents and forks.
    """

    session: str = ""
    source: str = ""
    member: str = ""
    began_at: str = ""
    ended_at: str = ""
    exact_to_ms: int = 1
    active_ms: int = 0
    outcome: Outcome = Outcome.OK
    failure: str = ""
    projects: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    threads: int = 1


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, the one that was active last first.

    `count`, `total` and `outside` are about all pages: how many sessions there are, all that was
    used in the time asked for, and the part of it that belongs to no session.
    """

    sessions: list[Session]
    count: int
    total: Spent
    outside: Spent
    next_cursor: str | None = None
    schema: str = SESSIONS_SCHEMA


@dataclass(frozen=True, slots=True)
class SessionTurn(Spent):
    """One turn of a session, or what one ping told of it.

    `thread` is "" for the session's main one, else a sub-agent's or a fork's. `duration_ms` is wall
    time, 0 where nobody told it; `tools` are how often each was called.
    """

    began_at: str = ""
    ended_at: str = ""
    thread: str = ""
    outcome: Outcome = Outcome.OK
    failure: str = ""
    kind: str = "run"
    projects: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    agent_version: str = ""
    tools: dict[str, int] = field(default_factory=dict)
