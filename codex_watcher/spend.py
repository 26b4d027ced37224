"""What one response spent, as the running totals tell it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import astuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_watcher.decode import Tokens

Parts = tuple[int, int, int, int, int]
"""Input, cached input, cache write, output, reasoning."""

parts: Callable[[Tokens], Parts] = astuple
"""Return the counters that are spend: a struct's fields, in their order.

Codex's own total is none of them: it may be an estimate of the context.
"""

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


def fitted(usage: Parts) -> Parts:
    """Keep parts inside their whole: the cache inside input, reasoning inside output."""
    whole, cached, written, output, reasoning = usage
    if cached + written <= whole and reasoning <= output:
        return usage
    cached = min(cached, whole)
    return whole, cached, min(written, whole - cached), output, min(reasoning, output)
