"""The runs of one transcript: which prompts somebody gave, and how what came of them ended. Pure.

The rules and their reasons are docs/explanation/counting.md, "Claude Code", "Runs".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from msgspec.structs import replace

from claude_code_hooks import prompts
from claude_code_hooks.decode import Line, error_of, text_of, text_of_queued
from claude_code_hooks.sighting import OF_COPY
from claude_code_hooks.state import FoldState, TurnState
from telemhq_agents import clock
from telemhq_agents.usage import Place, Source, Turn, TurnStatus

STILL_WORKING = (None, "tool_use", "pause_turn")
"""Reasons to stop that don't end a turn; old versions write none at all."""

_CLAUDE = Source.CLAUDE
_SUCCESS = TurnStatus.SUCCESS


@dataclass(slots=True)
class Turns:
    """Follows the turn in force through a file. `stem` is the file's name without `.jsonl`."""

    state: FoldState
    stem: str
    place: Callable[[], Place]
    found: dict[str, Turn] = field(default_factory=dict)

    def open(self, line: Line, told_ms: int) -> None:
        """Take the prompt that the session queued before it wrote any message."""
        text = text_of_queued(line)
        if text:
            self.state.opened_ms = told_ms
            self.state.opened_with = self._digest(text)

    def take_user(self, line: Line, opening: str, at_ms: int) -> bool:
        """Take a user line whose text begins so; tell whether it was a prompt."""
        if line.is_sidechain:
            self._borrow(line, at_ms)
            return False
        match prompts.kind_of(line, opening):
            case prompts.Kind.PROMPT:
                self._start(line, at_ms, is_early=self._is_early(line, at_ms))
                return True
            case prompts.Kind.INTERRUPT:
                self._interrupt(at_ms)
                return False
            case prompts.Kind.OTHER:
                return False

    def take_notice(self, line: Line, at_ms: int) -> None:
        """Take a line that Claude Code wrote in the model's place: an API error ends the turn."""
        if line.is_api_error_message and not line.is_sidechain and self.state.turn:
            self.state.turn.failure = error_of(line)
            self._end(self.state.turn, at_ms, TurnStatus.ERROR)

    def take_system(self, line: Line, at_ms: int) -> None:
        """Take a line that tells of a turn's end, or of something else."""
        turn = self.state.turn
        if turn is None or line.is_sidechain or turn.is_borrowed:
            return
        match line.subtype:
            case "stop_hook_summary":
                self._end(turn, at_ms, turn.status)
            case "turn_duration":
                told_ms = max(0, int(line.duration_ms or 0))
                turn.told_ms += told_ms if clock.is_plausible(at_ms - told_ms) else 0
                self._end(turn, at_ms, turn.status)
            case _:
                return

    def go_on(self, line: Line, stop: str | None, at_ms: int, is_copied: bool) -> None:
        """Take a reply of the main conversation, and the reason why it stopped, if any."""
        turn = self.state.turn
        if is_copied:
            self.state.is_fork = True
        if turn is None or turn.is_borrowed:
            return
        turn.is_copied = is_copied
        turn.last_ms = max(turn.last_ms, at_ms)
        turn.status = _SUCCESS
        turn.is_working = stop == "tool_use"
        if not turn.is_shown:
            self._show(turn, None)
        if line.is_aborted_mid_stream:
            self._end(turn, at_ms, TurnStatus.INTERRUPTED)
        elif stop not in STILL_WORKING:
            self._end(turn, at_ms, _SUCCESS)
        else:
            turn.is_ended = False

    def last(self, at_ms: int) -> None:
        """Take a further line of the reply that came last: a later time."""
        turn = self.state.turn
        if turn is not None and not turn.is_borrowed and at_ms > turn.last_ms:
            turn.last_ms = at_ms

    def rest(self) -> None:
        """Tell how the turn in force seems to have ended: the file has been silent for long.

        The turn stays open. Whatever comes later has the last word.
        """
        turn = self.state.turn
        if turn is None:
            return
        self._release(turn)
        if turn.is_shown and not turn.is_ended:
            told, turn.status = turn.status, _guessed(turn)
            self._show(turn, turn.last_ms)
            turn.status = told

    def drain(self) -> list[Turn]:
        """Hand over what was found since the last time."""
        found, self.found = list(self.found.values()), {}
        return found

    def _digest(self, text: str) -> str:
        key = self.stem.encode("utf-8", "surrogateescape")[: blake2b.MAX_KEY_SIZE]
        return blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key).hexdigest()

    def _is_early(self, line: Line, at_ms: int) -> bool:
        """Tell whether a prompt may have been copied: it came before the one that was queued."""
        if at_ms >= self.state.opened_ms:
            return False
        is_first = self.state.turn is None
        return not (is_first and self._digest(text_of(line)) == self.state.opened_with)

    def _start(self, line: Line, at_ms: int, *, is_early: bool) -> None:
        turn, key = self.state.turn, turn_key(line)
        is_same = turn is not None and turn.key == key and not turn.is_copied
        if turn is not None and is_same and (is_early or not turn.is_held):
            return
        if turn is not None and not is_same:
            self._close(turn)
        if not is_early:
            self.state.opened_ms, self.state.opened_with = 0, ""
        self.state.turn = TurnState(
            key=key,
            started_ms=at_ms,
            last_ms=at_ms,
            session_id=line.session_id or "",
            version=line.version or "",
            has_prompt_id=bool(line.prompt_id),
            is_copied=is_early and self.state.is_fork,
            is_held=is_early and bool(line.prompt_id),
        )

    def _borrow(self, line: Line, at_ms: int) -> None:
        """Take over the turn that a sub-agent's file names, or name one that nobody began."""
        turn = self.state.turn
        if turn is not None and not (turn.is_borrowed and line.prompt_id):
            return
        if line.prompt_id or line.uuid:
            self.state.turn = TurnState(turn_key(line), at_ms, at_ms, is_borrowed=True)

    def _interrupt(self, at_ms: int) -> None:
        if self.state.turn is not None:
            self._end(self.state.turn, at_ms, TurnStatus.INTERRUPTED)

    def _close(self, turn: TurnState) -> None:
        """End a turn that nothing ended: what it was doing last tells how."""
        self._release(turn)
        if turn.is_shown and not turn.is_ended:
            self._end(turn, turn.last_ms, _guessed(turn))

    def _release(self, turn: TurnState) -> None:
        """Tell of a turn that is no copy after all."""
        if turn.is_held:
            turn.is_held = False
            if turn.is_shown and turn.is_ended:
                self._show(turn, turn.last_ms)

    def _end(self, turn: TurnState, at_ms: int, status: TurnStatus) -> None:
        if turn.is_borrowed:
            return
        if status is TurnStatus.INTERRUPTED:
            self.state.has_interrupts = True
        turn.last_ms = max(turn.last_ms, at_ms)
        turn.status, turn.is_ended = status, True
        self._show(turn, turn.last_ms)

    def _show(self, turn: TurnState, ended_ms: int | None) -> None:
        """Tell of a turn; a prompt that nothing came of yet, or a mere copy, is no run."""
        if turn.is_copied and turn.has_prompt_id:
            # The copy carries the id of the fork's own next prompt, not of the one it copies.
            return
        if turn.is_shown and ended_ms is None:
            return
        turn.is_shown = True
        if turn.is_held:
            return
        is_early = turn.started_ms < self.state.opened_ms
        is_foreign = turn.session_id not in ("", self.stem)
        has_failed = ended_ms is not None and turn.status is TurnStatus.ERROR
        seen = Turn(
            turn.key,
            _CLAUDE,
            turn.session_id or self.stem,
            "",
            self.place(),
            turn.started_ms,
            ended_ms,
            None if ended_ms is None else _duration(turn, ended_ms),
            TurnStatus.RUNNING if ended_ms is None else turn.status,
            turn.version,
            OF_COPY if turn.is_copied or is_early or is_foreign else 0,
            turn.failure if has_failed else "",
        )
        known = self.found.get(turn.key)
        self.found[turn.key] = seen if known is None else _later(known, seen)


def turn_key(line: Line) -> str:
    """Return the key of the turn that a user line begins."""
    return f"claude:{line.prompt_id or line.uuid or line.session_id}"


def _guessed(turn: TurnState) -> TurnStatus:
    """Return how a turn ended that nothing ended: cut off where it still asked for a tool."""
    cut_off = turn.is_working and turn.status is TurnStatus.SUCCESS
    return TurnStatus.INTERRUPTED if cut_off else turn.status


def _duration(turn: TurnState, ended_ms: int) -> int:
    return turn.told_ms or max(0, ended_ms - turn.started_ms)


def _later(known: Turn, seen: Turn) -> Turn:
    """Return what both sightings amount to, by the rule of Turn."""
    later = seen if (seen.ended_ms or 0) > (known.ended_ms or 0) else known
    started_ms = min(known.started_ms, seen.started_ms)
    return later if later.started_ms == started_ms else replace(later, started_ms=started_ms)
