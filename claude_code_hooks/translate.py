"""What hook entries tell by themselves: turns, and which transcripts to read. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from telemhq_agents.usage import Source, Turn, TurnStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemhq_agents.collecting import Namer

OF_HOOK = 4
"""Precedence of a turn that only hooks told of: whatever a transcript says ranks before it."""

ENDINGS = {"Stop": TurnStatus.SUCCESS, "StopFailure": TurnStatus.ERROR}


class HookEvent(msgspec.Struct, frozen=True):
    """A hook's spool entry: ids, kinds and paths, never a text."""

    event: str
    at_ms: int
    session_id: str = ""
    prompt_id: str = ""
    transcript_path: str = ""
    agent_transcript_path: str = ""
    cwd: str = ""
    error: str = ""


def event_of(entry: dict[str, Any]) -> HookEvent | None:
    """Return the event of a spool entry, None when it is another kind or not one of ours."""
    if entry.get("kind") != "hook":
        return None
    try:
        return msgspec.convert(entry, HookEvent)
    except msgspec.ValidationError:
        return None


def transcripts(events: Iterable[HookEvent]) -> set[Path]:
    """Return the files in which these events left, or will leave, their traces."""
    named = ((event.transcript_path, event.agent_transcript_path) for event in events)
    return {Path(path) for paths in named for path in paths if path}


def turns(events: Iterable[HookEvent], namer: Namer) -> list[Turn]:
    """Return the turns whose end these events saw, keyed as their transcript would key them.

    A turn's start is its prompt's submission where that is among the events. Meant for sessions
    that keep no transcript: where there is one it says more, and knows machine-made prompts.
    """
    by_prompt: dict[str, list[HookEvent]] = {}
    for event in events:
        if event.prompt_id:
            by_prompt.setdefault(event.prompt_id, []).append(event)
    found = (_turn(prompt_id, seen, namer) for prompt_id, seen in by_prompt.items())
    return [turn for turn in found if turn is not None]


def _turn(prompt_id: str, events: list[HookEvent], namer: Namer) -> Turn | None:
    ends = [event for event in events if event.event in ENDINGS]
    if not ends:
        return None
    last = max(ends, key=lambda event: event.at_ms)
    submitted = [event.at_ms for event in events if event.event == "UserPromptSubmit"]
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
    )
