"""What adds up: the one vector of sums that ledger, wire, server and reports share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

NANO_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Amounts:
    """Additive figures of a run, a bucket or a report; signed inside a correction.

    Tokens follow OpenTelemetry's GenAI conventions: `input_tokens` is all input, cache reads
    (`cached_input_tokens`) and cache writes (`cache_write_tokens`) included; `output_tokens`
    includes `reasoning_tokens`; `total_tokens` is input plus output unless a sender said otherwise.
    `cost_nano` is nano-USD, `unpriced_tokens` are tokens whose price nobody knew, `duration_ms`
    is wall time in milliseconds.
    """

    runs: int = 0
    failures: int = 0
    responses: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0
    cost_nano: int = 0
    unpriced_tokens: int = 0
    duration_ms: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(a - b for a, b in zip(self.values(), other.values(), strict=True)))

    def __bool__(self) -> bool:
        return any(self.values())

    def values(self) -> tuple[int, ...]:
        """Return the figures in the order of `AMOUNT_FIELDS`."""
        return tuple(getattr(self, name) for name in AMOUNT_FIELDS)

    def largest(self, other: Self) -> Self:
        """Return, figure by figure, the larger of the two."""
        return type(self)(*(max(a, b) for a, b in zip(self.values(), other.values(), strict=True)))


AMOUNT_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Amounts))


def usd(nano: int) -> float:
    """Turn nano-USD into USD, as the wire and the reports show it."""
    return nano / NANO_PER_USD


def nano(usd_amount: float) -> int:
    """Turn USD into integer nano-USD, rounding half to even."""
    return round(usd_amount * NANO_PER_USD)
