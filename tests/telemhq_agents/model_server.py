"""The road's server in thirty lines: accepts a key once, adds what a ping says, tells what it has.

It knows the wire (docs/reference/ping.md) and nothing of the code that is tested against it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from telemhq_agents.contract.ping import Recorded

QUARTER_S = 900
FAILING = {"error", "failed", "timeout"}
COUNTS = (
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
    "duration_ms",
)
FIGURES = ("runs", "failures", *COUNTS, "cost_nano")

Sums = dict[tuple[object, ...], dict[str, int]]


class ModelServer:
    def __init__(self, *, deduplicates: bool = True) -> None:
        self.deduplicates = deduplicates
        self.accepted: list[str] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.longest = 0
        self._held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._revision: dict[str, int] = {}
        self._buckets: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)

    def receive(self, key: str, body: bytes) -> tuple[bool, Recorded | None]:
        """Return whether the key was known, and what is held of its fact then."""
        self.longest = max(self.longest, len(body))
        payload = json.loads(body)
        fact = payload.get("corrects", key)
        if key in self.bodies and self.deduplicates:
            return True, self._recorded(fact)
        self.accepted.append(key)
        self.bodies[key] = payload
        figures = _figures(payload)
        self._held[fact].update(figures)
        self._revision[fact] = max(self._revision.get(fact, 0), payload.get("revision", 0))
        self._buckets[_bucket(payload)].update(figures)
        return False, None

    def sums(self) -> Sums:
        """Return the figures that are not zero, by (quarter, project, model, session, thread)."""
        clean = {
            key: {name: value for name, value in figures.items() if value}
            for key, figures in self._buckets.items()
        }
        return {key: figures for key, figures in clean.items() if figures}

    def _recorded(self, fact: str) -> Recorded:
        held = {name: self._held[fact][name] for name in FIGURES}
        cost = held.pop("cost_nano") / 1e9
        project = self.bodies.get(fact, {}).get("project", "")
        return Recorded(self._revision[fact], cost_usd=cost, project=project, **held)


def _figures(payload: dict[str, Any]) -> dict[str, int]:
    figures = {name: payload.get(name, 0) for name in COUNTS}
    figures["cost_nano"] = round(payload.get("cost_usd", 0) * 1e9)
    if payload.get("kind") == "correction":
        return figures | {name: payload.get(name, 0) for name in ("runs", "failures")}
    primary = payload.get("primary", True)
    failed = primary and payload.get("status") in FAILING
    return figures | {"runs": int(primary), "failures": int(failed)}


def _bucket(payload: dict[str, Any]) -> tuple[object, ...]:
    ended = datetime.fromisoformat(payload["ended_at"]).timestamp()
    quarter_ms = int(ended // QUARTER_S) * QUARTER_S * 1000
    names = ("project", "model", "session_id", "thread_id", "source")
    return (quarter_ms, *(payload.get(name, "") for name in names))
