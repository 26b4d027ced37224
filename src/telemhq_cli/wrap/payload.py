"""What a ping says: the user's fields, the job's own last line, and what was measured. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from telemhq_agents import clock
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.wrap.child import Ended
    from telemhq_cli.wrap.command_line import Asked

FLAG_FIELDS = {
    "--status": "status",
    "--project": "project",
    "--model": "model",
    "--provider": "provider",
    "--error": "error",
}

OUTPUT_TAIL = "output_tail"
HELP = "telemhq ping --help"


def flag_fields(asked: Asked) -> dict[str, Any]:
    """Return the fields that the command line names, `-f` ones last. Raises UsageError."""
    fields: dict[str, Any] = {
        name: asked.values[flag] for flag, name in FLAG_FIELDS.items() if asked.has(flag)
    }
    if asked.has("--duration-ms"):
        fields["duration_ms"] = _number(asked.values["--duration-ms"])
    return merged(fields, nested(asked.fields))


def nested(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `key=value` words: dots nest, JSON scalars keep their type. Raises UsageError."""
    result: dict[str, Any] = {}
    for word in assignments:
        path, _, text = word.partition("=")
        *parents, name = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                held = f"{parent!r} already holds a value, not an object"
                raise UsageError(f"-f {word!r}: {held}", HELP)
        if isinstance(place.get(name), dict):
            held = f"{name!r} already holds an object, not a value"
            raise UsageError(f"-f {word!r}: {held}", HELP)
        place[name] = scalar(text)
    return result


def scalar(text: str) -> Any:  # noqa: ANN401 - any JSON scalar
    """Return the JSON scalar that `text` spells, else `text` itself."""
    try:
        value = json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, dict | list) else value


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object that `data` holds, None when it holds anything else."""
    try:
        value = json.loads(data, parse_constant=_not_json, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`, object by object."""
    result = dict(base)
    for name, value in over.items():
        below = result.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            result[name] = merged(below, value)
        else:
            result[name] = value
    return result


def measured(ended: Ended, signal_name: str, named_status: str) -> dict[str, Any]:
    """Return what the wrapper saw of the job. A job that failed is an error, whatever it claims."""
    facts: dict[str, Any] = {
        "status": "error" if ended.failed else named_status or "success",
        "started_at": clock.to_iso(ended.started_ms),
        "ended_at": clock.to_iso(ended.started_ms + ended.duration_ms),
    }
    if ended.exit_code is not None:
        facts["exit_code"] = ended.exit_code
    if signal_name:
        facts["signal"] = signal_name
    if ended.timed_out:
        facts["timed_out"] = True
    if ended.attempts:
        facts["attempts"] = ended.attempts
    return facts


def of_job(said: dict[str, Any], ended: Ended, signal_name: str) -> dict[str, Any]:
    """Put what was measured over what was said; only a duration that somebody named is kept."""
    status = said.get("status")
    facts = measured(ended, signal_name, status if isinstance(status, str) else "")
    payload = {"duration_ms": ended.duration_ms} | said | facts
    if ended.reason and "error" not in said:
        payload["error"] = ended.reason
    return payload


def is_failure(payload: dict[str, Any], ended: Ended) -> bool:
    """Tell whether a run counts as a failure, by its code or by the status that it tells."""
    from telemhq_agents.contract.ping import FAILED_STATUSES  # noqa: PLC0415 - 6 ms, rarely needed

    return ended.failed or payload["status"].lower() in FAILED_STATUSES


def with_tail(payload: dict[str, Any], tail: str, limit: int) -> bytes:
    """Write the body with as much of the end of `tail` as `limit` bytes hold (0: nobody told).

    Without room for any of it the field is left out.
    """
    from telemhq_agents.contract.ping import SMALLEST_PAYLOAD_LIMIT  # noqa: PLC0415 - same

    most = limit or SMALLEST_PAYLOAD_LIMIT
    low, high = 0, len(tail)
    while low < high:  # the most characters that fit: each takes one to twelve bytes in JSON
        middle = (low + high + 1) // 2
        fits = len(encoded(payload | {OUTPUT_TAIL: tail[-middle:]})) <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return encoded(payload | ({OUTPUT_TAIL: tail[-low:]} if low else {}))


def encoded(payload: dict[str, Any]) -> bytes:
    """Write the body that goes over the wire."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="replace")


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(text)
    return value


def _not_json(constant: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(constant)
