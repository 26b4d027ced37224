"""The report of what sessions used beside their facts, in the shape of the usage report. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.background import Kind
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.usage_report import UsageRow, sum_rows
from telemhq_agents.ledger.packing import priced
from telemhq_agents.ledger.report import NAMED, checked_groups, moment_of, zone_of
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from telemhq_agents.background import Rest
    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.pricing import Prices

PROVIDERS = {Source.CLAUDE: "anthropic", Source.CODEX: "openai"}
"""Who is asked in the background; a session's own total does not say."""


def reports(
    rests: Iterable[Rest],
    prices: Prices,
    group_by: Sequence[str],
    *,
    timezone: str,
    member: str,
) -> dict[Kind, UsageReport]:
    """Sum the rests of each kind by the groups named. Raises UsageError as the usage report does."""
    names, zone = checked_groups(group_by), zone_of(timezone)
    sums: dict[Kind, dict[tuple[str, ...], Amounts]] = {kind: {} for kind in Kind}
    for rest in rests:
        moment = moment_of(rest.at_ms, zone)
        told = {name: named(moment) for name, named in NAMED.items()} | {
            "model": rest.model,
            "project": rest.place.project,
            "session": rest.session_id,
            "thread": "",
            "source": rest.source.value,
            "member": member,
        }
        keys = tuple(told[name] for name in names)
        known = sums[rest.kind].get(keys, Amounts())
        sums[rest.kind][keys] = known + _amounts(rest, prices)
    return {
        kind: sum_rows(names, [UsageRow(*row) for row in rows.items()])
        for kind, rows in sums.items()
    }


def narrowed(
    rests: Iterable[Rest], projects: Collection[str], models: Collection[str]
) -> list[Rest]:
    """Return the rests of these projects and models; none named are all of them."""
    return [
        rest
        for rest in rests
        if (not projects or rest.place.project in projects) and (not models or rest.model in models)
    ]


def _amounts(rest: Rest, prices: Prices) -> Amounts:
    cost_nano, unpriced_tokens, _ = priced(
        prices,
        PROVIDERS[rest.source],
        rest.model,
        rest.at_ms,
        rest.input_tokens,
        rest.cached_input_tokens,
        rest.cache_write_tokens,
        rest.cache_write_1h_tokens,
        rest.output_tokens,
    )
    return Amounts(
        input_tokens=rest.input_tokens,
        cached_input_tokens=rest.cached_input_tokens,
        cache_write_tokens=rest.cache_write_tokens,
        output_tokens=rest.output_tokens,
        reasoning_tokens=rest.reasoning_tokens,
        total_tokens=rest.input_tokens + rest.output_tokens,
        cost_nano=cost_nano,
        unpriced_tokens=unpriced_tokens,
    )
