"""The body of a collector's ping: what it tells, in at most 1,024 bytes. Pure.

Least important fields go first when it does not fit. What the server sums by (project, model,
session, thread) is never dropped but capped, by length alone, so that a ping and its corrections
always name the same bucket.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from telemhq_agents.clock import to_iso
from telemhq_agents.contract.amounts import usd
from telemhq_agents.contract.ping import KIND_CORRECTION, SMALLEST_PAYLOAD_LIMIT
from telemhq_agents.privacy import cwd_hash
from telemhq_agents.usage import ActivityKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_agents.ledger.due import Telling
    from telemhq_agents.ledger.records import DeviceFacts, Known, Parcel
    from telemhq_agents.usage import Activity

DROPPED_FIRST = ("tools", "turn_id", "agent_version", "cwd_hash", "device_id", "provider")
PROJECT_BYTES = 160
MODEL_BYTES = 96
ID_BYTES = 80
MOST_TOOLS = 8
"""How many tools a ping names, the most used ones."""
TOOL_KINDS = (ActivityKind.TOOL, ActivityKind.TOOL_FAILURE)
COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
    "duration_ms",
)


def compose(telling: Telling, parcel: Parcel, known: Known | None, device: DeviceFacts) -> bytes:
    """Return the JSON body of a ping or of a correction."""
    if telling.told.revision:
        body = _correction(telling) | _bucket(telling, parcel) | _differences(telling.amounts)
    else:
        body = _bucket(telling, parcel) | _figures(telling.amounts)
        body |= _run(telling.amounts, parcel, known) if known is not None else {}
    body |= {"device_id": device.device_id}
    if known is not None and known.cwd:
        body["cwd_hash"] = cwd_hash(device.salt, known.cwd)
    return _fitted({name: value for name, value in body.items() if value != ""})


def _correction(telling: Telling) -> dict[str, Any]:
    return {
        "kind": KIND_CORRECTION,
        "corrects": telling.told.key,
        "revision": telling.told.revision,
    }


def _bucket(telling: Telling, parcel: Parcel) -> dict[str, Any]:
    return {
        "ended_at": to_iso(max(telling.told.last_ms, 0)),
        "provider": capped(parcel.provider, ID_BYTES),
        "model": capped(parcel.model, MODEL_BYTES),
        "project": capped(telling.told.named or parcel.project, PROJECT_BYTES),
        "source": parcel.source,
        "session_id": capped(parcel.session_id, ID_BYTES),
        "thread_id": capped(parcel.thread_id, ID_BYTES),
    }


def _run(amounts: Amounts, parcel: Parcel, known: Known) -> dict[str, Any]:
    window = is_window(parcel.span)
    told: dict[str, Any] = {"agent_version": known.agent_version}
    if not window:
        told["turn_id"] = capped(parcel.span, ID_BYTES)
    if not amounts.runs:
        return told | {"primary": False}
    quiet = "success" if window else known.status
    if amounts.failures:
        told |= {"status": "error", "error": known.failure or _failure(known.activities)}
    else:
        told |= {"status": quiet}
    return told | _doings(known.activities)


def _failure(activities: Sequence[Activity]) -> str:
    """Return the kind of failure that a hook told of, where the log tells none."""
    return next((one.name for one in _of(activities, ActivityKind.FAILURE)), "")


def _doings(activities: Sequence[Activity]) -> dict[str, Any]:
    """Tell what the agent did besides asking its model: how often and how long, never what."""
    calls = _of(activities, *TOOL_KINDS)
    waits = _of(activities, ActivityKind.PERMISSION)
    tools: dict[str, int] = {}
    for call in calls:
        tools[call.name] = tools.get(call.name, 0) + call.count
    most_used = sorted(tools.items(), key=lambda tool: (-tool[1], tool[0]))[:MOST_TOOLS]
    told = {
        "tool_calls": _count(calls),
        "tool_failures": _count(_of(activities, ActivityKind.TOOL_FAILURE)),
        "tool_ms": sum(call.duration_ms for call in calls),
        "tools": {capped(name, ID_BYTES): count for name, count in most_used},
        "permission_waits": _count(waits),
        "permission_wait_ms": sum(wait.duration_ms for wait in waits),
        "prompts": _count(_of(activities, ActivityKind.PROMPT)),
        "subagents": _count(_of(activities, ActivityKind.SUBAGENT)),
        "compactions": _count(_of(activities, ActivityKind.COMPACTION)),
    }
    return {name: value for name, value in told.items() if value}


def _of(activities: Sequence[Activity], *kinds: ActivityKind) -> list[Activity]:
    return [one for one in activities if one.kind in kinds]


def _count(activities: Sequence[Activity]) -> int:
    return sum(one.count for one in activities)


def _figures(amounts: Amounts) -> dict[str, Any]:
    figures: dict[str, Any] = {"responses": amounts.responses} | _counts(amounts)
    if amounts.cost_nano or (amounts.total_tokens and not amounts.unpriced_tokens):
        figures["cost_usd"] = usd(amounts.cost_nano)
    return figures


def _differences(amounts: Amounts) -> dict[str, Any]:
    signed = {name: getattr(amounts, name) for name in ("runs", "failures", "responses")}
    figures: dict[str, Any] = {name: value for name, value in signed.items() if value}
    figures |= _counts(amounts)
    if amounts.cost_nano:
        figures["cost_usd"] = usd(amounts.cost_nano)
    return figures


def _counts(amounts: Amounts) -> dict[str, int]:
    counts = {name: getattr(amounts, name) for name in COUNTS}
    return {name: value for name, value in counts.items() if value}


def is_window(span: str) -> bool:
    """Tell whether a span is a coalescing window rather than a turn."""
    return span[:1] == "w" and span[1:].isdecimal()


def capped(text: str, limit: int) -> str:
    """Return `text` in at most `limit` bytes of JSON; what is cut gets a digest of the whole."""
    if len(text) * 6 <= limit or _length(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    kept = text[:limit]
    while _length(kept) > limit - len(digest) - 1:
        kept = kept[:-1]
    return f"{kept}~{digest}"


def _length(text: str) -> int:
    return len(_encoded(text)) - 2


def _encoded(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _fitted(body: dict[str, Any]) -> bytes:
    encoded = _encoded(body)
    for name in DROPPED_FIRST:
        if len(encoded) <= SMALLEST_PAYLOAD_LIMIT:
            break
        body.pop(name, None)
        encoded = _encoded(body)
    return encoded
