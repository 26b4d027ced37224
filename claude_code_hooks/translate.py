"""What hook entries tell by themselves: turns, and which transcripts to read. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from telemhq_agents.usage import Source, Turn, TurnStatus, failure_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from telemhq_agents.collecting import Namer

OF_HOOK = 4
"""Precedence of a turn that only hooks told of: whatever a transcript says ranks before it."""

PATHS = ("transcript_path", "agent_transcript_path", "cwd")
ENDINGS = {"Stop": TurnStatus.SUCCESS, "StopFailure": TurnStatus.ERROR}


class HookEvent(msgspec.Struct, frozen=True):
    """A hook's spool entry: ids, kinds and paths, never a text.

    `check` is a small number by which an event without an id is known when it comes in twice, and
    the tool's input by which a permission is known to have been given.
    """

    event: str
    at_ms: int
    session_id: str = ""
    prompt_id: str = ""
    transcript_path: str = ""
    agent_transcript_path: str = ""
    cwd: str = ""
    error: str = ""
    tool_name: str = ""
    tool_use_id: str = ""
    agent_id: str = ""
    duration_ms: int = 0
    check: int = 0
    has_agent_type: bool = False
    is_interrupt: bool = False
    is_machine_made: bool = False

    @property
    def is_end(self) -> bool:
        """Tell whether something ended, so that its last lines are being written now."""
        return self.event in {"Stop", "StopFailure", "SubagentStop", "SessionEnd", ""}


def event_of(entry: dict[str, Any]) -> HookEvent | None:
    """Return the event of a spool entry, None when it is another kind or not one of ours."""
    if entry.get("kind") != "hook":
        return None
    try:
        event = msgspec.convert(entry, HookEvent)
    except msgspec.ValidationError:
        return None
    impossible = [name for name in PATHS if not _can_be_a_path(getattr(event, name))]
    return structs.replace(event, **dict.fromkeys(impossible, "")) if impossible else event


def _can_be_a_path(text: str) -> bool:
    """Tell whether a file can have this name; JSON can spell names that no file has."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def transcripts(events: Iterable[HookEvent]) -> set[Path]:
    """Return the files in which these events left, or will leave, their traces."""
    named = ((event.transcript_path, event.agent_transcript_path) for event in events)
    return {Path(path) for paths in named for path in paths if path}


def turns(
    events: Iterable[HookEvent], namer: Namer, submitted: Mapping[str, int] | None = None
) -> list[Turn]:
    """Return the turns whose end these events saw, keyed as their transcript would key them.

    A turn's start is its prompt's submission, where that is among the events or, by the prompt's id,
    among the earlier ones in `submitted` (milliseconds). Meant for sessions
    that keep no transcript: where there is one it says more, and knows machine-made prompts.
    """
    by_prompt: dict[str, list[HookEvent]] = {}
    for event in events:
        if event.prompt_id:
            by_prompt.setdefault(event.prompt_id, []).append(event)
    before = submitted or {}
    found = (_turn(one, seen, before.get(one), namer) for one, seen in by_prompt.items())
    return [turn for turn in found if turn is not None]


def _turn(
    prompt_id: str, events: list[HookEvent], submitted_ms: int | None, namer: Namer
) -> Turn | None:
    # What stops a sub-agent is not the end of the run.
    ends = [event for event in events if event.event in ENDINGS and not event.agent_id]
    if not ends:
        return None
    last = max(ends, key=lambda event: event.at_ms)
    submitted = [event.at_ms for event in events if event.event == "UserPromptSubmit"]
    if submitted_ms is not None:
        submitted.append(submitted_ms)
    started_ms = min([*submitted, last.at_ms])
    return Turn(
        key=f"claude:{prompt_id}",
        source=Source.CLAUDE,
        session_id=last.session_id,
        thread_id="",
        place=namer.place(last.cwd),
        started_ms=started_ms,
        ended_ms=last.at_ms,
        duration_ms=last.at_ms - started_ms if submitted else None,
        status=ENDINGS[last.event],
        precedence=OF_HOOK,
        failure=failure_kind(last.error) if last.event == "StopFailure" else "",
    )
