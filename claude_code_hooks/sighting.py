"""One line of a reply as a sighting of a usage fact, and what two sightings amount to. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claude_code_hooks.decode import BadLineError

if TYPE_CHECKING:
    from claude_code_hooks.decode import Line, Usage
    from telemhq_agents.usage import UsageFact

LOWER_BOUND = "output_lower_bound"
"""The transcript holds the stream's opening figure and never the final one."""
FIRST_VERSION_WITH_FINAL_OUTPUT = (2, 1, 312)

OF_SIDECHAIN, OF_COPY = 1, 2
"""Precedence of a sighting: the conversation's own line is 0, a copy ranks behind all others."""


def key_of(line: Line, session: str) -> str:
    """Return the key of a reply without an id. Raises BadLineError when nothing identifies it."""
    if not line.uuid:
        raise BadLineError("a reply without any id")
    return f"claude:{session}:{line.uuid}"


def cache_writes(usage: Usage) -> tuple[int, int]:
    """Return all cache writes, and those for an hour. Gateways fill in only the flat figure."""
    flat = usage.cache_creation_input_tokens or 0
    nested = usage.cache_creation
    if nested is None:
        return flat, 0
    long = nested.ephemeral_1h_input_tokens or 0
    total = (nested.ephemeral_5m_input_tokens or 0) + long
    return max(flat, total), long


def doubt_of(line: Line) -> str:
    """Return what is to be said of the output of a line that tells no reason to stop."""
    is_final = _is_final_in(line.version or "") and not line.is_aborted_mid_stream
    return "" if is_final else LOWER_BOUND


@lru_cache(maxsize=1024)
def _is_final_in(version: str) -> bool:
    parts = tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
    return parts >= FIRST_VERSION_WITH_FINAL_OUTPUT


def differ_in_output_alone(one: Usage | None, other: Usage | None) -> bool:
    """Tell whether all but the output of two lines is the same."""
    return (
        one is not None
        and other is not None
        and one.input_tokens == other.input_tokens
        and one.cache_read_input_tokens == other.cache_read_input_tokens
        and one.cache_creation_input_tokens == other.cache_creation_input_tokens
        and one.cache_creation == other.cache_creation
        and one.output_tokens_details == other.output_tokens_details
    )


def rank_of(seen: UsageFact) -> tuple[int, int]:
    """Return what decides whose a fact is: the smaller goes first."""
    return seen.precedence, seen.at_ms


def merged(known: UsageFact, seen: UsageFact, *, seen_leads: bool) -> UsageFact:
    """Return what both sightings amount to, by the rule of UsageFact."""
    winner = seen if seen_leads else known
    larger = seen if seen.output_tokens > known.output_tokens else known
    is_equal = seen.output_tokens == known.output_tokens
    return replace(
        winner,
        at_ms=min(known.at_ms, seen.at_ms),
        input_tokens=max(known.input_tokens, seen.input_tokens),
        cached_input_tokens=max(known.cached_input_tokens, seen.cached_input_tokens),
        cache_write_tokens=max(known.cache_write_tokens, seen.cache_write_tokens),
        cache_write_1h_tokens=max(known.cache_write_1h_tokens, seen.cache_write_1h_tokens),
        output_tokens=larger.output_tokens,
        reasoning_tokens=max(known.reasoning_tokens, seen.reasoning_tokens),
        estimate=min(known.estimate, seen.estimate) if is_equal else larger.estimate,
    )
