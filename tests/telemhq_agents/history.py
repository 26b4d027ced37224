"""What happens to logs, as records, and the sums it must come to: a reference without SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from telemhq_agents.usage import Place, Source, Turn, TurnStatus, UsageFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from telemhq_agents.ledger.store import Ledger
    from tests.telemhq_agents.model_server import Sums

QUARTER = 900_000
BORN = 1_795_161_600_000  # 2026-11-20T08:00:00Z
TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)


class FlatPrices:
    """Two nano-USD a token, and one model that nobody knows a price for."""

    def cost(self, _provider: str, model: str, _at_ms: int, *tokens: int) -> tuple[int, str] | None:
        read, _cached, _written, _written_1h, output = tokens
        return None if model == "unknown" else (2 * (read + output), "2026-01-01")

    def tariff(self, provider: str, model: str) -> Callable[..., tuple[int, str] | None]:
        return partial(self.cost, provider, model)


@dataclass
class Truth:
    """Every fact and turn as the sightings so far add up."""

    facts: dict[str, UsageFact]
    turns: dict[str, Turn]
    fact_leads: dict[str, tuple[int, int]]
    turn_leads: dict[str, tuple[int, int]]

    @classmethod
    def empty(cls) -> Truth:
        return cls({}, {}, {}, {})

    def see_fact(self, seen: UsageFact) -> None:
        rank = (seen.precedence, seen.at_ms)
        known = self.facts.get(seen.key)
        if known is None:
            self.facts[seen.key], self.fact_leads[seen.key] = seen, rank
            return
        lead = seen if rank < self.fact_leads[seen.key] else known
        self.fact_leads[seen.key] = min(rank, self.fact_leads[seen.key])
        larger = {name: max(getattr(known, name), getattr(seen, name)) for name in TOKENS}
        self.facts[seen.key] = replace(lead, **larger, at_ms=min(known.at_ms, seen.at_ms))

    def see_turn(self, seen: Turn) -> None:
        rank = (seen.precedence, seen.started_ms)
        known = self.turns.get(seen.key)
        if known is None:
            self.turns[seen.key], self.turn_leads[seen.key] = seen, rank
            return
        lead = seen if rank < self.turn_leads[seen.key] else known
        self.turn_leads[seen.key] = min(rank, self.turn_leads[seen.key])
        ended = [one for one in (known, seen) if one.status is not TurnStatus.RUNNING]
        end = max(ended, key=lambda one: one.ended_ms or 0, default=known)
        self.turns[seen.key] = replace(
            lead,
            started_ms=min(known.started_ms, seen.started_ms),
            ended_ms=end.ended_ms,
            duration_ms=end.duration_ms,
            status=end.status,
        )

    def sums(self, since_ms: int = 0) -> Sums:
        """Return the figures that are not zero, by (quarter, project, model, session, thread)."""
        found: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
        first: dict[str, UsageFact] = {}
        for fact in self.facts.values():
            found[_bucket(fact)].update(_figures(fact))
            known = first.get(fact.turn_key)
            if known is None or _order(fact) < _order(known):
                first[fact.turn_key] = fact
        for turn in self.turns.values():
            lead = first.get(turn.key)
            found[_bucket(lead) if lead else _own_bucket(turn)].update(_run(turn))
        clean = {
            key: {name: value for name, value in figures.items() if value}
            for key, figures in found.items()
            if int(str(key[0])) >= since_ms - since_ms % QUARTER
        }
        return {key: figures for key, figures in clean.items() if figures}


def _order(fact: UsageFact) -> tuple[object, ...]:
    """The earliest response is the turn's first; ties go by what the log tells."""
    place = fact.place.log_project
    return fact.at_ms, fact.model, fact.provider, place, fact.session_id, fact.thread_id


def _bucket(fact: UsageFact) -> tuple[object, ...]:
    quarter_ms = fact.at_ms // QUARTER * QUARTER
    where = (fact.place.project, fact.model, fact.session_id, fact.thread_id, fact.source.value)
    return (quarter_ms, *where)


def _own_bucket(turn: Turn) -> tuple[object, ...]:
    at_ms = turn.started_ms if turn.ended_ms is None else turn.ended_ms
    where = (turn.place.project, "", turn.session_id, turn.thread_id, turn.source.value)
    return (at_ms // QUARTER * QUARTER, *where)


def _figures(fact: UsageFact) -> dict[str, int]:
    total = fact.input_tokens + fact.output_tokens
    figures = {name: getattr(fact, name) for name in TOKENS if name != "cache_write_1h_tokens"}
    priced = fact.model != "unknown"
    return figures | {
        "responses": 1,
        "total_tokens": total,
        "cost_nano": 2 * total if priced else 0,
        "unpriced_tokens": 0 if priced else total,
    }


def _run(turn: Turn) -> dict[str, int]:
    failed = turn.status is TurnStatus.ERROR
    return {"runs": 1, "failures": int(failed), "duration_ms": turn.duration_ms or 0}


def place(project: str) -> Place:
    return Place(f"/home/dev/{project}", project, project)


def fact(
    key: str, *, turn: str = "t1", at_ms: int = BORN, model: str = "opus", **more: Any
) -> UsageFact:
    fields: dict[str, Any] = {
        "session_id": "s1",
        "thread_id": "th1",
        "place": place("shop"),
        "provider": "anthropic",
        "input_tokens": 100,
        "output_tokens": 10,
    }
    fields |= more
    return UsageFact(
        key=key, source=Source.CLAUDE, turn_key=turn, at_ms=at_ms, model=model, **fields
    )


def turn(key: str = "t1", *, started_ms: int = BORN, **more: Any) -> Turn:
    fields: dict[str, Any] = {"session_id": "s1", "thread_id": "th1", "place": place("shop")}
    fields |= more
    return Turn(key=key, source=Source.CLAUDE, started_ms=started_ms, **fields)


def ended(key: str = "t1", *, at_ms: int = BORN + 60_000, **more: Any) -> Turn:
    more.setdefault("status", TurnStatus.SUCCESS)
    return turn(key, ended_ms=at_ms, duration_ms=60_000, **more)


def ledger_sums(ledger: Ledger) -> Sums:
    """Return what the ledger's own report says, by project, model, session and thread."""
    report = ledger.usage(["hour", "project", "model", "session", "thread", "source"])
    names = (*TOKENS[:3], "output_tokens", "reasoning_tokens", "responses", "total_tokens")
    wanted = (*names, "cost_nano", "unpriced_tokens", "runs", "failures", "duration_ms")
    return {
        row.keys: {
            name: getattr(row.amounts, name) for name in wanted if getattr(row.amounts, name)
        }
        for row in report.rows
    }


def by_hour(sums: Sums) -> Sums:
    """Add up sums by quarter-hour into sums by hour, as `ledger_sums` names them."""
    found: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    for key, figures in sums.items():
        start = datetime.fromtimestamp(int(str(key[0])) // 1000, tz=UTC)
        found[(f"{start:%Y-%m-%dT%H}:00+00:00", *key[1:])].update(figures)
    return {key: dict(figures) for key, figures in found.items()}


def turns_and_facts(events: Iterable[UsageFact | Turn]) -> tuple[list[UsageFact], list[Turn]]:
    together = list(events)
    return (
        [one for one in together if isinstance(one, UsageFact)],
        [one for one in together if isinstance(one, Turn)],
    )
