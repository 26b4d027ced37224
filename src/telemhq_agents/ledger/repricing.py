"""What today's prices would make of what was used: beside the frozen costs, never in their place."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from telemhq_agents.contract.amounts import usd
from telemhq_agents.errors import UsageError
from telemhq_agents.ledger import reading
from telemhq_agents.ledger.packing import priced
from telemhq_agents.ledger.report import NAMED, moment_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from telemhq_agents.ledger.reading import BookedFact
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import Source, UsageFact

SCHEMA = "telemhq.reprice/1"
MODEL = "model"


@dataclass(slots=True)
class Repriced:
    """Frozen and present cost of one group, nano-USD; tokens that have, or had, no price."""

    responses: int = 0
    total_tokens: int = 0
    cost_nano: int = 0
    repriced_nano: int = 0
    unpriced_tokens: int = 0
    still_unpriced_tokens: int = 0
    frozen_by: set[str] = field(default_factory=set)

    @property
    def difference_nano(self) -> int:
        """How much more the present prices make of it."""
        return self.repriced_nano - self.cost_nano

    def figures(self) -> dict[str, Any]:
        """Return the shown figures by name; money in USD."""
        return {
            "responses": self.responses,
            "total_tokens": self.total_tokens,
            "cost_usd": usd(self.cost_nano),
            "repriced_usd": usd(self.repriced_nano),
            "difference_usd": usd(self.difference_nano),
            "unpriced_tokens": self.unpriced_tokens,
            "still_unpriced_tokens": self.still_unpriced_tokens,
            "price_dates": sorted(self.frozen_by),
        }


@dataclass(frozen=True, slots=True)
class RepricedReport:
    """Groups, the largest difference first, and their total."""

    group_by: tuple[str, ...]
    rows: list[tuple[tuple[str, ...], Repriced]]
    total: Repriced

    def as_json(self) -> dict[str, Any]:
        """Return the stable machine-readable shape, `telemhq.reprice/1`."""
        return {
            "schema": SCHEMA,
            "group_by": list(self.group_by),
            "rows": [
                dict(zip(self.group_by, keys, strict=True)) | one.figures()
                for keys, one in self.rows
            ],
            "total": self.total.figures(),
        }


def reprice(
    ledger: Ledger,
    prices: Prices,
    group_by: Sequence[str],
    *,
    since_ms: int | None,
    until_ms: int | None,
    timezone: str,
    source: Source | None,
    projects: Collection[str] = (),
    models: Collection[str] = (),
) -> RepricedReport:
    """Return what `prices` make of the facts of a time, by model and the groups named.

    Each fact is priced at its own date. Raises UsageError for a group that facts do not have.
    """
    groups = (*group_by, *(() if MODEL in group_by else (MODEL,)))
    name = _namer(groups, timezone)
    found: defaultdict[tuple[str, ...], Repriced] = defaultdict(Repriced)
    total = Repriced()
    with ledger.lent() as connection:
        for booked in reading.facts(connection, since_ms, until_ms, source):
            if not _is_among(booked.fact, projects, models):
                continue
            now = _priced(prices, booked)
            for one in (found[name(booked)], total):
                _add(one, booked, now)
    ordered = sorted(
        found.items(), key=lambda one: (-abs(one[1].difference_nano), -one[1].cost_nano, one[0])
    )
    return RepricedReport(groups, ordered, total)


def _is_among(fact: UsageFact, projects: Collection[str], models: Collection[str]) -> bool:
    """Tell whether a fact is of one of these projects and models; none named are all of them."""
    return (not projects or fact.place.project in projects) and (not models or fact.model in models)


def _priced(prices: Prices, booked: BookedFact) -> tuple[int, int, str]:
    fact = booked.fact
    return priced(
        prices,
        fact.provider,
        fact.model,
        fact.at_ms,
        fact.input_tokens,
        fact.cached_input_tokens,
        fact.cache_write_tokens,
        fact.cache_write_1h_tokens,
        fact.output_tokens,
    )


def _add(one: Repriced, booked: BookedFact, now: tuple[int, int, str]) -> None:
    one.responses += 1
    one.total_tokens += booked.fact.input_tokens + booked.fact.output_tokens
    one.cost_nano += booked.cost_nano
    one.unpriced_tokens += booked.unpriced_tokens
    one.repriced_nano += now[0]
    one.still_unpriced_tokens += now[1]
    if booked.price_date:
        one.frozen_by.add(booked.price_date)


def _namer(groups: Sequence[str], timezone: str) -> Callable[[BookedFact], tuple[str, ...]]:
    zone = zone_of(timezone)

    def timed(named: Callable[[datetime], str]) -> Callable[[BookedFact], str]:
        return lambda one: named(moment_of(one.fact.at_ms, zone))

    naming: dict[str, Callable[[BookedFact], str]] = {
        **{name: timed(named) for name, named in NAMED.items()},
        "model": lambda one: one.fact.model,
        "project": lambda one: one.fact.place.project,
        "session": lambda one: one.fact.session_id,
        "thread": lambda one: one.fact.thread_id,
        "source": lambda one: one.fact.source.value,
    }
    unknown = [name for name in groups if name not in naming]
    if unknown:
        raise UsageError(
            f"Prices cannot be compared by {unknown[0]!r}.",
            f"Use one or more of: {', '.join(naming)}.",
        )
    parts = [naming[name] for name in groups]
    return lambda booked: tuple(part(booked) for part in parts)
