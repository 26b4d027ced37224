"""`telemhq ping --dry-run`: what would be run and sent, and where. Runs, asks and writes nothing."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from telemhq_agents.secrets import masked
from telemhq_cli.render.output import say, show_json, show_pairs
from telemhq_cli.wrap import payload, trackers

if TYPE_CHECKING:
    from telemhq_cli.wrap.command_line import Asked

SCHEMA = "telemhq.ping-plan/1"
MEASURED = ("status", "exit_code or signal", "duration_ms", "started_at", "ended_at")


def show(asked: Asked) -> int:
    """Print it, as JSON where that is asked for, and return 0. Raises UsageError."""
    plan = planned(asked)
    if asked.has("--json"):
        show_json({"schema": SCHEMA, **plan})
        return 0
    rows = [(name.replace("_", " "), _in_words(value)) for name, value in plan.items()]
    say("Nothing is run and nothing is sent.")
    show_pairs(rows, indent="  ")
    return 0


def planned(asked: Asked) -> dict[str, Any]:
    """Return what would happen. The tracking token and known secrets are masked.

    Raises UsageError for fields that make no payload, or a URL that is none.
    """
    url = trackers.known_url(
        asked.target, trackers.profile_in_use(asked.target, asked.values.get("--profile"))
    )
    fields = payload.flag_fields(asked)
    plan: dict[str, Any] = {
        "runs": None if asked.command is None else masked(shlex.join(asked.command)),
        "sends_to": masked(url) if url else f"wherever the server says that {asked.target!r} is",
        "fields": _masked(fields),
        "fields_from": _sources(asked),
        "measured": [] if asked.command is None else _measured(asked),
        "timeout_s": asked.timeout_s,
        "kill_after_s": asked.kill_after_s or None,
        "grace_s": asked.grace_s if asked.kill_after_s else None,
        "retries": asked.retries or None,
        "retry_delay_s": asked.retry_delay_s if asked.retries else None,
        "lock": asked.values.get("--lock"),
        "on_success_only": asked.has("--on-success-only") or None,
    }
    return {name: value for name, value in plan.items() if value not in (None, [])}


def _masked(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _masked_value(name, value) for name, value in fields.items()}


def _masked_value(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return _masked(value)
    named = f"{name}="
    return masked(named + value).removeprefix(named) if isinstance(value, str) else value


def _sources(asked: Asked) -> list[str]:
    found = []
    if asked.has("--payload"):
        found.append(f"the JSON object in {asked.values['--payload']}")
    if asked.has("--payload-from-stdout"):
        found.append("the last line of stdout, where it is a JSON object")
    if asked.tail_bytes:
        found.append(f"the last {asked.tail_bytes} bytes of the output, as output_tail")
    return found


def _measured(asked: Asked) -> list[str]:
    more = ["timed_out"] if asked.kill_after_s else []
    return [*MEASURED, *more, *(["attempts"] if asked.retries else [])]


def _in_words(value: Any) -> str:  # noqa: ANN401 - whatever a plan holds
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
