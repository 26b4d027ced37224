"""Sessions out of the parts that a ledger holds of them. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.sessions import Outcome, Session, SessionTurn, spent
from telemhq_agents.usage import ActivityKind, TurnStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from telemhq_agents.usage import Activity

QUIET_MS = 1_800_000
"""After so long without anything a turn without an end runs no more."""

_COST, _TOKENS = AMOUNT_FIELDS.index("cost_nano"), AMOUNT_FIELDS.index("total_tokens")
_TOOLS = {ActivityKind.TOOL, ActivityKind.TOOL_FAILURE}
_ENDED = {
    TurnStatus.SUCCESS: Outcome.OK,
    TurnStatus.ERROR: Outcome.FAILED,
    TurnStatus.INTERRUPTED: Outcome.INTERRUPTED,
}

Key = TypeVar("Key", bound="Hashable")


class Part(NamedTuple):
    """What one turn used of one model for one project, and what is known of the turn.

    `first_ms` and `last_ms` are when its responses ended. The turn's own times and status are None
    and "" where only its responses are known. `figures` are in the order of `AMOUNT_FIELDS`.
    """

    source: str
    session: str
    thread: str
    turn: str
    model: str
    project: str
    first_ms: int
    last_ms: int
    started_ms: int | None
    ended_ms: int | None
    status: str
    failure: str
    version: str
    figures: tuple[int, ...]

    @property
    def began_ms(self) -> int:
        """When the turn began, or its first response ended."""
        return self.first_ms if self.started_ms is None else min(self.first_ms, self.started_ms)

    @property
    def over_ms(self) -> int:
        """When the turn ended, or its last response did."""
        return self.last_ms if self.ended_ms is None else max(self.last_ms, self.ended_ms)


def session_of(parts: Sequence[Part], now_ms: int) -> Session:
    """Return the session that these parts make up; there is at least one."""
    last = max(parts, key=lambda part: (part.over_ms, part.began_ms, part.turn))
    first = parts[0]
    return Session(
        session=first.session,
        source=first.source,
        began_at=to_iso(min(part.began_ms for part in parts)),
        ended_at=to_iso(last.over_ms),
        active_ms=covered_ms((part.began_ms, part.over_ms) for part in parts),
        outcome=outcome_of(last, now_ms),
        failure=last.failure,
        projects=_by_cost(parts, "project"),
        models=_by_cost(parts, "model"),
        threads=len({part.thread for part in parts}),
        **spent(summed(parts)),
    )


def turns_of(
    parts: Iterable[Part], activities: Iterable[Activity], now_ms: int
) -> list[SessionTurn]:
    """Return a session's turns in the order in which they began; each thread's part by itself."""
    found = grouped(parts, lambda part: (part.thread, part.turn))
    tools: dict[str, Counter[str]] = {}
    for one in activities:
        if one.kind in _TOOLS:
            tools.setdefault(one.turn_key, Counter())[one.name] += one.count
    turns = [_turn(of, tools, now_ms) for of in found.values()]
    return sorted(turns, key=lambda turn: (turn.began_at, turn.ended_at, turn.thread))


def _turn(parts: Sequence[Part], tools: Mapping[str, Counter[str]], now_ms: int) -> SessionTurn:
    first, last = parts[0], max(parts, key=lambda part: part.over_ms)
    amounts = summed(parts)
    # A turn counts in one thread alone: its sub-agents' shares tell neither its tools nor its end.
    own = tools.get(first.turn, Counter[str]()) if amounts.runs else Counter[str]()
    return SessionTurn(
        began_at=to_iso(min(part.began_ms for part in parts)),
        ended_at=to_iso(last.over_ms),
        thread="" if first.thread == first.session else first.thread,
        outcome=outcome_of(last, now_ms),
        failure=last.failure,
        projects=_by_cost(parts, "project"),
        models=_by_cost(parts, "model"),
        agent_version=last.version,
        tools=dict(sorted(own.items(), key=lambda tool: (-tool[1], tool[0]))),
        **spent(amounts),
    )


def outcome_of(part: Part, now_ms: int) -> Outcome:
    """Return how a turn came out, as far as anybody knows by now."""
    if part.status and part.status != TurnStatus.RUNNING:
        return _ENDED[TurnStatus(part.status)]
    return Outcome.RUNNING if now_ms - part.over_ms <= QUIET_MS else Outcome.UNFINISHED


def covered_ms(spans: Iterable[tuple[int, int]]) -> int:
    """Return how long at least one of these spans lasted, in milliseconds."""
    covered, reached = 0, None
    for start, end in sorted(spans):
        begun = start if reached is None else max(start, reached)
        covered += max(end - begun, 0)
        reached = end if reached is None else max(end, reached)
    return covered


def summed(parts: Iterable[Part]) -> Amounts:
    """Return the sums of parts."""
    return Amounts(*map(sum, zip(*(part.figures for part in parts), strict=True)))


def grouped(parts: Iterable[Part], key: Callable[[Part], Key]) -> dict[Key, list[Part]]:
    """Return parts by key, each list and the whole in the order in which they came."""
    found: dict[Key, list[Part]] = {}
    for part in parts:
        found.setdefault(key(part), []).append(part)
    return found


def shortened(ids: Iterable[str], least: int = 8) -> dict[str, str]:
    """Return, for each id, its shortest beginning that none of the others has.

    At least `least` characters; an id that another one begins with is whole.
    """
    ordered = sorted(set(ids))
    found = {}
    for at, one in enumerate(ordered):
        near = (ordered[other] for other in (at - 1, at + 1) if 0 <= other < len(ordered))
        shared = max((_shared(one, other) for other in near), default=0)
        found[one] = one[: max(shared + 1, least)]
    return found


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _by_cost(parts: Iterable[Part], name: str) -> list[str]:
    """Return the names of parts, what cost most first; turns without any usage have no model."""
    costs: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for part in parts:
        named = getattr(part, name)
        if named:
            costs[named] += part.figures[_COST]
            tokens[named] += part.figures[_TOKENS]
    return sorted(costs, key=lambda key: (-costs[key], -tokens[key], key))
