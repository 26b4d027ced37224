"""What the lines of one transcript add up to: usage facts and turns. Pure.

The rules and their reasons are docs/explanation/counting.md, "Claude Code". A fold reads lines in
their order and can stop after any of them: its state, a plain JSON value, goes into the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from claude_code_hooks import prompts
from claude_code_hooks.decode import (
    SYNTHETIC_MODEL,
    BadLineError,
    Line,
    Message,
    Usage,
    text_of,
    text_of_queued,
)
from telemhq_agents import clock
from telemhq_agents.collecting import Namer
from telemhq_agents.usage import MOST_TOKENS, Place, Source, Turn, TurnStatus, UsageFact

PROVIDER = "anthropic"
LOWER_BOUND = "output_lower_bound"
"""The transcript holds the stream's opening figure and never the final one."""
FIRST_VERSION_WITH_FINAL_OUTPUT = (2, 1, 312)
STILL_WORKING = (None, "tool_use", "pause_turn")
"""Reasons to stop that don't end a turn; old versions write none at all."""

OF_SIDECHAIN, OF_COPY = 1, 2
"""Precedence of a sighting: the conversation's own line is 0, a copy ranks behind all others."""


class TurnState(msgspec.Struct):
    """The turn in force.

    `borrowed`: a sub-agent's file works for a turn of another file. `copied`: its lines say that
    they come from another session. `held`: it seems to be older than the file's own first prompt,
    as a copy is, and is not told of before the next prompt: a copy has that one's id.
    """

    key: str
    started_ms: int
    last_ms: int
    status: TurnStatus = TurnStatus.SUCCESS
    told_ms: int = 0
    session_id: str = ""
    version: str = ""
    has_prompt_id: bool = False
    is_shown: bool = False
    is_ended: bool = False
    is_working: bool = False
    is_borrowed: bool = False
    is_copied: bool = False
    is_held: bool = False


class FoldState(msgspec.Struct):
    """All that later lines of the file need from earlier ones.

    `opened_ms` is when the session queued its first prompt, before it wrote any message, and
    `opened_with` a digest of that prompt. Until the prompt itself comes, an older message was
    copied from another session (surely so where `is_fork`: a line told it), or the clock was set
    back. Both are empty afterwards.
    """

    cwd: str = ""
    opened_ms: int = 0
    opened_with: str = ""
    is_fork: bool = False
    last_ms: int = 0
    has_messages: bool = False
    turn: TurnState | None = None


@dataclass(slots=True)
class TranscriptFold:
    """Folds one file. `stem` is its name without `.jsonl`: a session's id, or a sub-agent's."""

    state: FoldState
    namer: Namer
    stem: str
    written_ms: int
    facts: dict[str, UsageFact] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    _place: Place | None = None
    _last_seen: tuple[str, Usage] | None = None

    def take(self, line: Line) -> None:
        """Add one line. Raises BadLineError when it is a reply that nothing identifies."""
        match line.type:
            case "assistant":
                self._begin(line)
                self._take_reply(line, self._time(line))
            case "user":
                self._begin(line)
                self._take_user(line, self._time(line))
            case "system":
                self._take_system(line, self._time(line))
            case "queue-operation" if not self.state.has_messages and not self.state.opened_ms:
                self._open(line)
            case _:
                return

    def rest(self) -> None:
        """Close the turn in force: the file has been silent for long."""
        if self.state.turn is not None:
            self._close(self.state.turn)

    def drain(self) -> tuple[list[UsageFact], list[Turn]]:
        """Hand over what was found since the last time."""
        facts, turns = list(self.facts.values()), list(self.turns.values())
        self.facts, self.turns = {}, {}
        return facts, turns

    def _open(self, line: Line) -> None:
        text = text_of_queued(line)
        if text:
            self.state.opened_ms = clock.told_ms(line.timestamp or "")
            self.state.opened_with = self._digest(text)

    def _digest(self, text: str) -> str:
        key = self.stem.encode("utf-8", "surrogateescape")[: blake2b.MAX_KEY_SIZE]
        return blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key).hexdigest()

    def _begin(self, line: Line) -> None:
        self.state.has_messages = True
        if not self.state.cwd and line.cwd:
            self.state.cwd = line.cwd

    def _time(self, line: Line) -> int:
        told_ms = clock.told_ms(line.timestamp or "")
        state = self.state
        state.last_ms = told_ms or state.last_ms or state.opened_ms or self.written_ms
        return state.last_ms

    def _place_of_file(self) -> Place:
        # A session wanders; its project is where it began.
        if self._place is None:
            place = self.namer.place(self.state.cwd)
            if not self.state.cwd:
                return place
            self._place = place
        return self._place

    # user lines

    def _take_user(self, line: Line, at_ms: int) -> None:
        text = text_of(line)
        if line.is_sidechain:
            self._borrow(line, at_ms)
            return
        match prompts.kind_of(line, text):
            case prompts.Kind.PROMPT:
                self._start(line, at_ms, is_early=self._is_early(text, at_ms))
            case prompts.Kind.INTERRUPT:
                self._interrupt(at_ms)
            case prompts.Kind.OTHER:
                return

    def _is_early(self, text: str, at_ms: int) -> bool:
        """Tell whether a prompt may have been copied: it came before the one that was queued."""
        if at_ms >= self.state.opened_ms:
            return False
        is_first = self.state.turn is None
        return not (is_first and self._digest(text) == self.state.opened_with)

    def _start(self, line: Line, at_ms: int, *, is_early: bool) -> None:
        turn, key = self.state.turn, _turn_key(line)
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
            self.state.turn = TurnState(_turn_key(line), at_ms, at_ms, is_borrowed=True)

    def _interrupt(self, at_ms: int) -> None:
        if self.state.turn is not None:
            self._end(self.state.turn, at_ms, TurnStatus.INTERRUPTED)

    # replies

    def _take_reply(self, line: Line, at_ms: int) -> None:
        message = line.message
        if message is None:
            return
        if message.model == SYNTHETIC_MODEL:
            self._take_notice(line, at_ms)
            return
        is_copied = line.request_session_id not in (None, line.session_id)
        if not line.is_sidechain:
            self._go_on(line, message, at_ms, is_copied=is_copied)
        if message.usage is not None:
            is_copy = is_copied or at_ms < self.state.opened_ms
            self._take_usage(line, message, message.usage, at_ms, is_copy=is_copy)

    def _take_notice(self, line: Line, at_ms: int) -> None:
        """Take a line that Claude Code wrote in the model's place: an API error ends the turn."""
        if line.is_api_error_message and not line.is_sidechain and self.state.turn:
            self._end(self.state.turn, at_ms, TurnStatus.ERROR)

    def _go_on(self, line: Line, message: Message, at_ms: int, *, is_copied: bool) -> None:
        turn = self.state.turn
        self.state.is_fork = self.state.is_fork or is_copied
        if turn is None or turn.is_borrowed:
            return
        turn.is_copied = is_copied
        turn.last_ms = max(turn.last_ms, at_ms)
        turn.status = TurnStatus.SUCCESS
        turn.is_working = message.stop_reason == "tool_use"
        self._show(turn, None)
        if line.is_aborted_mid_stream:
            self._end(turn, at_ms, TurnStatus.INTERRUPTED)
        elif message.stop_reason not in STILL_WORKING:
            self._end(turn, at_ms, TurnStatus.SUCCESS)
        else:
            turn.is_ended = False

    def _take_usage(
        self, line: Line, message: Message, usage: Usage, at_ms: int, *, is_copy: bool
    ) -> None:
        session = line.request_session_id or line.session_id or self.stem
        key = _fact_key(line, message, session)
        precedence = self._precedence(line, is_copy=is_copy)
        known = self.facts.get(key)
        # A reply has one line per block; most repeat the line before, word for word.
        is_same = known is not None and self._last_seen == (key, usage)
        if known and is_same and not known.estimate and not _leads(precedence, at_ms, known):
            return
        self._last_seen = (key, usage)
        written, written_1h = _cache_writes(usage)
        cached = _positive(usage.cache_read_input_tokens)
        details = usage.output_tokens_details
        seen = UsageFact(
            key=key,
            source=Source.CLAUDE,
            session_id=session,
            thread_id="",
            turn_key=self.state.turn.key if self.state.turn else f"claude:{session}",
            provider=PROVIDER,
            model=message.model or "",
            place=self._place_of_file(),
            at_ms=at_ms,
            input_tokens=_positive(usage.input_tokens) + written + cached,
            cached_input_tokens=cached,
            cache_write_tokens=written,
            cache_write_1h_tokens=written_1h,
            output_tokens=_positive(usage.output_tokens),
            reasoning_tokens=_positive(details.thinking_tokens) if details else 0,
            estimate=LOWER_BOUND if _is_lower_bound(line, message) else "",
            precedence=precedence,
        )
        self.facts[key] = seen if known is None else _merged(known, seen)

    def _precedence(self, line: Line, *, is_copy: bool) -> int:
        if line.is_sidechain:
            return OF_SIDECHAIN + (OF_COPY if is_copy else 0)
        is_foreign = line.session_id not in (None, self.stem)
        return OF_COPY if is_copy or is_foreign else 0

    # ends

    def _take_system(self, line: Line, at_ms: int) -> None:
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

    def _close(self, turn: TurnState) -> None:
        """End a turn that nothing ended: what it was doing last tells how."""
        if turn.is_held:
            turn.is_held = False
            if turn.is_shown and turn.is_ended:
                self._show(turn, turn.last_ms)
        if turn.is_shown and not turn.is_ended:
            cut_off = turn.is_working and turn.status is TurnStatus.SUCCESS
            self._end(turn, turn.last_ms, TurnStatus.INTERRUPTED if cut_off else turn.status)

    def _end(self, turn: TurnState, at_ms: int, status: TurnStatus) -> None:
        if turn.is_borrowed:
            return
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
        seen = Turn(
            key=turn.key,
            source=Source.CLAUDE,
            session_id=turn.session_id or self.stem,
            thread_id="",
            place=self._place_of_file(),
            started_ms=turn.started_ms,
            ended_ms=ended_ms,
            duration_ms=None if ended_ms is None else _duration(turn, ended_ms),
            status=TurnStatus.RUNNING if ended_ms is None else turn.status,
            agent_version=turn.version,
            precedence=OF_COPY if turn.is_copied or is_early or is_foreign else 0,
        )
        known = self.turns.get(turn.key)
        self.turns[turn.key] = seen if known is None else _later(known, seen)


def _duration(turn: TurnState, ended_ms: int) -> int:
    return turn.told_ms or max(0, ended_ms - turn.started_ms)


def _turn_key(line: Line) -> str:
    return f"claude:{line.prompt_id or line.uuid or line.session_id}"


def _fact_key(line: Line, message: Message, session: str) -> str:
    if message.id:
        return f"claude:{message.id}"
    if not line.uuid:
        raise BadLineError("a reply without any id")
    return f"claude:{session}:{line.uuid}"


def _positive(count: int | None) -> int:
    if count is not None and count > MOST_TOKENS:
        raise BadLineError("more tokens than there can be")
    return max(0, count or 0)


def _cache_writes(usage: Usage) -> tuple[int, int]:
    """Return all cache writes, and those for an hour. Gateways fill in only the flat figure."""
    nested = usage.cache_creation
    short = _positive(nested.ephemeral_5m_input_tokens) if nested else 0
    long = _positive(nested.ephemeral_1h_input_tokens) if nested else 0
    return max(_positive(usage.cache_creation_input_tokens), short + long), long


def _is_lower_bound(line: Line, message: Message) -> bool:
    if message.stop_reason is not None:
        return False
    parts = (line.version or "0").split(".")
    version = tuple(int(part) if part.isdecimal() else 0 for part in parts)
    return version < FIRST_VERSION_WITH_FINAL_OUTPUT or bool(line.is_aborted_mid_stream)


def _leads(precedence: int, at_ms: int, known: UsageFact) -> bool:
    return (precedence, at_ms) < (known.precedence, known.at_ms)


def _merged(known: UsageFact, seen: UsageFact) -> UsageFact:
    """Return what both sightings amount to, by the rule of UsageFact."""
    winner = seen if _leads(seen.precedence, seen.at_ms, known) else known
    larger = seen if seen.output_tokens > known.output_tokens else known
    is_equal = seen.output_tokens == known.output_tokens
    return replace(
        winner,
        at_ms=min(known.at_ms, seen.at_ms),
        input_tokens=max(known.input_tokens, seen.input_tokens),
        cached_input_tokens=max(known.cached_input_tokens, seen.cached_input_tokens),
        cache_write_tokens=max(known.cache_write_tokens, seen.cache_write_tokens),
        cache_write_1h_tokens=max(known.cache_write_1h_tokens, seen.cache_write_1h_tokens),
        output_tokens=max(known.output_tokens, seen.output_tokens),
        reasoning_tokens=max(known.reasoning_tokens, seen.reasoning_tokens),
        estimate=min(known.estimate, seen.estimate) if is_equal else larger.estimate,
    )


def _later(known: Turn, seen: Turn) -> Turn:
    """Return what both sightings amount to, by the rule of Turn."""
    known_end, seen_end = (turn.ended_ms or 0 for turn in (known, seen))
    later = seen if seen_end > known_end else known
    return replace(later, started_ms=min(known.started_ms, seen.started_ms))
