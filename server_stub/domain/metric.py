"""Counters for Prometheus: bounded in number, and never falling. Pure.

Corrections and moves make sums smaller; to Prometheus a counter that falls has begun anew, and all
of it would count once more. So a counter stays where it was until its sum has grown beyond that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.contract.amounts import Amounts

Marks = dict[str, dict[str, int]]
"""The highest figure told, by metric and by what it is of (a tracker's id, a project)."""

MOST_TRACKERS = 1_000
MOST_PROJECTS = 200
"""Beyond these, trackers and projects are told together."""

OTHER = "(other)"
NONE = "(none)"


def raised(before: Marks, now: Marks) -> Marks:
    """Return, figure by figure, the larger of the two."""
    return {
        metric: {
            of: max(before.get(metric, {}).get(of, 0), now.get(metric, {}).get(of, 0))
            for of in {**before.get(metric, {}), **now.get(metric, {})}
        }
        for metric in {**before, **now}
    }


def chosen(sizes: Mapping[str, int], known: Mapping[str, int], most: int) -> set[str]:
    """Return what is told apart: what was before, then the largest, up to `most` of them.

    What has been told apart once stays so, also where two processes chose more than `most`: else a
    figure would leap between its own counter and that of all others.
    """
    kept = known.keys() - {OTHER}
    fresh = sorted(sizes.keys() - kept - {OTHER}, key=lambda name: (-sizes[name], name))
    return {*kept, *fresh[: max(0, most - len(kept))]}


def token_kinds(sums: Amounts) -> dict[str, int]:
    """Return tokens by kinds that add up to all of them; some pings tell nothing but the total."""
    fresh = sums.input_tokens - sums.cached_input_tokens - sums.cache_write_tokens
    kinds = {
        "input_uncached": fresh,
        "input_cached": sums.cached_input_tokens,
        "input_cache_write": sums.cache_write_tokens,
        "output_text": sums.output_tokens - sums.reasoning_tokens,
        "output_reasoning": sums.reasoning_tokens,
        "unspecified": sums.total_tokens - sums.input_tokens - sums.output_tokens,
    }
    return {kind: max(0, tokens) for kind, tokens in kinds.items()}
