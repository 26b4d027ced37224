"""What one response spent, as the running totals tell it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_watcher.decode import Tokens

Parts = tuple[int, int, int, int, int]
"""Input, cached input, cache write, output, reasoning."""

NOTHING: Parts = (0, 0, 0, 0, 0)


def growth(base: Parts | None, total: Parts, last: Parts) -> Parts:
    """Return what was spent since the running total `base`.

    A first total may hold a parent's share, and a total that fell or equals its own last response
    has begun anew: then `last` is what was spent. An equal total is written again without spend.
    """
    if base is None:
        return last
    if total == base:
        return NOTHING
    grown = (
        total[0] - base[0],
        total[1] - base[1],
        total[2] - base[2],
        total[3] - base[3],
        total[4] - base[4],
    )
    return last if total == last or min(grown) < 0 else grown


def parts(tokens: Tokens) -> Parts:
    """Return the counters that are spend; Codex's own total may be an estimate of the context."""
    return (
        tokens.input_tokens,
        tokens.cached_input_tokens,
        tokens.cache_write_input_tokens,
        tokens.output_tokens,
        tokens.reasoning_output_tokens,
    )


def fitted(usage: Parts) -> Parts:
    """Keep parts inside their whole: the cache inside input, reasoning inside output."""
    whole, cached, written, output, reasoning = usage
    cached = min(cached, whole)
    return whole, cached, min(written, whole - cached), output, min(reasoning, output)
