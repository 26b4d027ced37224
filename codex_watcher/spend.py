"""What one response spent, as the running totals tell it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_watcher.decode import Tokens

Parts = tuple[int, int, int, int, int]
"""Input, cached input, cache write, output, reasoning."""

NOTHING: Parts = (0, 0, 0, 0, 0)


class Rule(StrEnum):
    """Why a line that speaks of usage was counted, or was not; docs/explanation/counting.md."""

    RECORD = "a record of one response"
    FIRST = "the log's first total: its last response"
    GREW = "the total grew"
    ANEW = "the total began anew: its last response"
    REPEATED = "the same total again"
    NO_SPEND = "a total without any spend"
    RECORDED = "its record has told it already"
    NO_TOTAL = "rate limits alone"
    COPIED = "copied from the log it was forked from"
    KNOWN = "told already by an earlier line"
    COMPACTION = "a compaction's copy of a record"
    BAD = "not understood"


def judge(base: Parts | None, total: Parts, last: Parts) -> tuple[Rule, Parts]:
    """Return what was spent since the running total `base`, and which rule says so.

    A first total may hold a parent's share, and a total that fell or equals its own last response
    has begun anew: then `last` is what was spent. An equal total is written again without spend.
    """
    if base is None:
        return Rule.FIRST if any(last) else Rule.NO_SPEND, last
    if total == base:
        return Rule.REPEATED, NOTHING
    grown = (
        total[0] - base[0],
        total[1] - base[1],
        total[2] - base[2],
        total[3] - base[3],
        total[4] - base[4],
    )
    if total == last or min(grown) < 0:
        return Rule.ANEW if any(last) else Rule.NO_SPEND, last
    return Rule.GREW, grown


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
    if cached + written <= whole and reasoning <= output:
        return usage
    cached = min(cached, whole)
    return whole, cached, min(written, whole - cached), output, min(reasoning, output)
