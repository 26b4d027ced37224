"""What hook events tell of a turn besides its end: tools, permissions, prompts, sub-agents. Pure.

Each telling has a key, so that none counts twice: the same event may come in twice (the hook stands
in the settings and in a plugin, and runs a few milliseconds apart), and an entry may be read again
after a crash. Where Claude Code gives an event no id of its own, the memory knows the double.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from telemhq_agents.usage import Activity, ActivityKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from claude_code_hooks.translate import HookEvent

DOUBLE_MS = 1000
"""Claude Code runs the hooks of one event side by side; on a busy machine they end apart."""
RECENT_MS = 60_000
KEPT_MS = 24 * 3600 * 1000
MOST_KEPT = 500


class Spoken(msgspec.Struct, frozen=True):
    """A prompt, and when it was said."""

    prompt_id: str
    at_ms: int


class Memory(msgspec.Struct):
    """What later events need of earlier ones.

    `recent` tells when an event without an id came in last, `waiting` when each permission was
    asked for that nobody has given yet. `prompts` is the last prompt that a person wrote, by session;
    `machine_made` the one whose turn goes on, by the prompt that Claude Code wrote itself.
    """

    last_ms: int = 0
    recent: dict[str, int] = {}
    waiting: dict[str, list[int]] = {}
    prompts: dict[str, Spoken] = {}
    machine_made: dict[str, Spoken] = {}


def activities(
    events: Iterable[HookEvent], memory: Memory, *, now_ms: int
) -> dict[str, list[Activity]]:
    """Return what these events tell, by the key of each telling; remember what later ones need.

    An event that names no prompt (from a version before prompts had ids) belongs to no turn.
    """
    told: dict[str, list[Activity]] = {}
    for event in sorted(events, key=lambda each: each.at_ms):
        memory.last_ms = max(memory.last_ms, event.at_ms)
        key = _key(event)
        if event.prompt_id and key not in told:
            found = _heard(event, memory)
            if found:
                told[key] = found
    _forget(memory, now_ms)
    return told


def _key(event: HookEvent) -> str:
    """Name a telling by its own id; by its time where there is none, or none that is its own."""
    match event.event:
        case "PostToolUse" | "PostToolUseFailure" if event.tool_use_id:
            own = event.tool_use_id
        case "SubagentStop" if event.agent_id:
            own = event.agent_id
        case "StopFailure" | "Stop":
            own = ""
        case _:
            own = f"{event.at_ms}:{event.agent_id}:{event.check}"
    return f"claude:{event.prompt_id}:{event.event}:{own}"


def _heard(event: HookEvent, memory: Memory) -> list[Activity]:
    found: list[Activity] = []
    match event.event:
        case "UserPromptSubmit":
            found = _of_prompt(event, memory)
        case "PostToolUse" | "PostToolUseFailure":
            found = _of_tool(event, memory)
        case "PermissionRequest" if not _is_double(event, memory):
            memory.waiting.setdefault(_call(event), []).append(event.at_ms)
            found = [_activity(event, memory, ActivityKind.PERMISSION, event.tool_name)]
        case "PostCompact" if not _is_double(event, memory):
            found = [_activity(event, memory, ActivityKind.COMPACTION)]
        case "SubagentStop" if event.has_agent_type or not event.agent_id:
            # A compaction ends as a sub-agent of no type does.
            found = [_activity(event, memory, ActivityKind.SUBAGENT)]
        case "StopFailure" if not event.agent_id:
            found = [_activity(event, memory, ActivityKind.FAILURE, event.error)]
        case "Stop":
            # Nothing to count, but the turn was announced: what no hook told of is looked for.
            found = [Activity(_turn_key(event, memory), ActivityKind.PROMPT, count=0)]
    return found


def _activity(
    event: HookEvent, memory: Memory, kind: ActivityKind, name: str = "", duration_ms: int = 0
) -> Activity:
    return Activity(_turn_key(event, memory), kind, name, 1, duration_ms)


def _turn_key(event: HookEvent, memory: Memory) -> str:
    turn = memory.machine_made.get(event.prompt_id)
    return f"claude:{turn.prompt_id if turn else event.prompt_id}"


def _of_prompt(event: HookEvent, memory: Memory) -> list[Activity]:
    if event.is_machine_made:
        turn = memory.prompts.get(event.session_id)
        if turn is not None:
            memory.machine_made[event.prompt_id] = Spoken(turn.prompt_id, event.at_ms)
        return []
    memory.prompts.pop(event.session_id, None)  # the newest comes last, and is kept longest
    memory.prompts[event.session_id] = Spoken(event.prompt_id, event.at_ms)
    if _is_double(event, memory):
        return []
    return [_activity(event, memory, ActivityKind.PROMPT)]


def _of_tool(event: HookEvent, memory: Memory) -> list[Activity]:
    name, took_ms = event.tool_name, event.duration_ms
    has_failed = event.event == "PostToolUseFailure" and not event.is_interrupt
    kind = ActivityKind.TOOL_FAILURE if has_failed else ActivityKind.TOOL
    found = [_activity(event, memory, kind, name, took_ms)]
    asked = memory.waiting.get(_call(event), [])
    if asked:
        waited_ms = max(0, event.at_ms - took_ms - asked.pop(0))
        turn = _turn_key(event, memory)
        found.append(Activity(turn, ActivityKind.PERMISSION, name, 0, waited_ms))
    return found


def _call(event: HookEvent) -> str:
    """Name a call of a tool as its question does, which has no id: the same tool and input."""
    return f"{event.prompt_id}:{event.agent_id}:{event.tool_name}:{event.check}"


def _is_double(event: HookEvent, memory: Memory) -> bool:
    """Tell whether the event came in before; remember it if not."""
    name = f"{event.event}:{_call(event)}"
    before_ms = memory.recent.get(name)
    if before_ms is not None and abs(event.at_ms - before_ms) <= DOUBLE_MS:
        return True
    memory.recent[name] = event.at_ms
    return False


def _forget(memory: Memory, now_ms: int) -> None:
    """Keep the memory small: what is old, or of a time that never was, explains nothing."""
    latest = now_ms + KEPT_MS
    memory.recent = {
        name: at_ms
        for name, at_ms in memory.recent.items()
        if now_ms - RECENT_MS <= at_ms <= latest
    }
    memory.waiting = {
        name: asked
        for name, asked in memory.waiting.items()
        if asked and now_ms - KEPT_MS <= asked[-1] <= latest
    }
    memory.prompts = _kept(memory.prompts, now_ms - KEPT_MS, latest)
    memory.machine_made = _kept(memory.machine_made, now_ms - KEPT_MS, latest)
    for each in (memory.recent, memory.waiting, memory.prompts, memory.machine_made):
        for name in list(each)[:-MOST_KEPT]:
            each.pop(name)


def _kept(prompts: dict[str, Spoken], since_ms: int, until_ms: int) -> dict[str, Spoken]:
    return {key: said for key, said in prompts.items() if since_ms <= said.at_ms <= until_ms}
