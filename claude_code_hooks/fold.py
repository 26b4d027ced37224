"""What the lines of one transcript add up to: usage facts, turns, the session's own total. Pure.

The rules and their reasons are docs/explanation/counting.md, "Claude Code". A fold reads lines in
their order and can stop after any of them: its state, a plain JSON value, goes into the cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from claude_code_hooks import sighting
from claude_code_hooks.costs import Costs
from claude_code_hooks.decode import SYNTHETIC_MODEL, Line, Message, Usage, opening_of
from claude_code_hooks.sighting import OF_COPY, OF_SIDECHAIN
from claude_code_hooks.turns import STILL_WORKING, Turns
from telemhq_agents.clock import told_ms
from telemhq_agents.usage import Place, Source, UsageFact

if TYPE_CHECKING:
    from claude_code_hooks.state import FoldState
    from telemhq_agents.collecting import Namer
    from telemhq_agents.usage import SessionTotal, Turn

PROVIDER = "anthropic"
_CLAUDE = Source.CLAUDE


class TranscriptFold:
    """Folds one file. `stem` is its name without `.jsonl`: a session's id, or a sub-agent's."""

    __slots__ = (
        "_before",
        "_before_key",
        "_before_ms",
        "_costs",
        "_namer",
        "_place",
        "_stem",
        "_turns",
        "_written_ms",
        "facts",
        "state",
    )

    def __init__(
        self,
        state: FoldState,
        namer: Namer,
        stem: str,
        written_ms: int,
    ) -> None:
        self.state = state
        self.facts: dict[str, UsageFact] = {}
        self._namer = namer
        self._stem = stem
        self._written_ms = written_ms
        self._turns = Turns(state, stem, self._place_of_file)
        self._costs = Costs(state)
        self._place: Place | None = None
        self._before: Line | None = None
        self._before_key = ""
        self._before_ms = 0

    def take(self, line: Line) -> bool:
        """Add one line; tell whether it was a tool's result, which adds nothing.

        Raises BadLineError when it is a reply that nothing identifies.
        """
        match line.type:
            case "assistant":
                self._take_reply(line)
            case "user":
                return self._take_user(line)
            case "system":
                self._before = None
                self._turns.take_system(line, self._time(line))
            case "queue-operation":
                if not self.state.has_messages and not self.state.opened_ms:
                    self._turns.open(line, told_ms(line.timestamp))
            case "cost-state":
                self._before = None
                self._costs.take(line, self._stem, self.state.last_ms or self._written_ms)
        return False

    def rest(self) -> None:
        """Tell how the turn in force seems to have ended: the file has been silent for long."""
        self._turns.rest()

    def drain(self) -> tuple[list[UsageFact], list[Turn], list[SessionTotal]]:
        """Hand over what was found since the last time."""
        facts, self.facts = list(self.facts.values()), {}
        self._before = None
        return facts, self._turns.drain(), self._costs.drain(self._place_of_file)

    def _begin(self, line: Line) -> int:
        """Take what any message tells; return when it was written."""
        state = self.state
        if not state.has_messages:
            state.has_messages = True
        if not state.cwd and line.cwd:
            state.cwd = line.cwd
        at_ms = told_ms(line.timestamp)
        if at_ms:
            state.last_ms = at_ms
            return at_ms
        return self._time(line)

    def _time(self, line: Line) -> int:
        state = self.state
        state.last_ms = (
            told_ms(line.timestamp) or state.last_ms or state.opened_ms or self._written_ms
        )
        return state.last_ms

    def _place_of_file(self) -> Place:
        # A session wanders; its project is where it began.
        if self._place is None:
            place = self._namer.place(self.state.cwd)
            if not self.state.cwd:
                return place
            self._place = place
        return self._place

    def _take_user(self, line: Line) -> bool:
        opening = opening_of(line)
        if opening is None:
            return True
        self._before = None
        if self._turns.take_user(line, opening, self._begin(line)):
            self._costs.go_on()
        return False

    def _take_reply(self, line: Line) -> None:
        message, before, at_ms = line.message, self._before, self._begin(line)
        if message is None or (before is not None and self._goes_on(line, message, before, at_ms)):
            return
        self._before = None
        if message.model == SYNTHETIC_MODEL:
            self._turns.take_notice(line, at_ms)
            return
        told_session, session = line.request_session_id, line.session_id
        is_copied = told_session is not None and told_session != session
        if not line.is_sidechain:
            self._turns.go_on(line, message.stop_reason, at_ms, is_copied)
        if message.usage is None:
            return
        state = self.state
        if line.requested_model is not None or state.cost.spent:
            self._costs.take_reply(line.requested_model, message.model or "")
        rank = OF_SIDECHAIN if line.is_sidechain else 0
        is_foreign = session is not None and session != self._stem
        if is_copied or at_ms < state.opened_ms or (is_foreign and not rank):
            state.has_copies = True
            rank += OF_COPY
        self._take_usage(line, message, message.usage, rank, at_ms)
        self._before, self._before_ms = line, at_ms

    def _goes_on(self, line: Line, message: Message, before: Line, at_ms: int) -> bool:
        """Take a line that tells no more than the one before it but a time, output or an end.

        A reply has one line for each block of its content, and most are of that kind. Returns
        False, having done nothing, where a line may tell more.
        """
        earlier, stop, usage = before.message, message.stop_reason, message.usage
        if (
            earlier is None
            or message.id != earlier.id
            or not message.id
            or earlier.stop_reason not in STILL_WORKING
            or at_ms < self._before_ms
            or not _is_alike(line, before)
            or message.model != earlier.model
            or self.state.opened_ms
        ):
            return False
        is_equal = usage == earlier.usage
        if not (is_equal or sighting.differ_in_output_alone(usage, earlier.usage)):
            return False
        has_stopped = stop != earlier.stop_reason
        if usage is not None and (has_stopped or not is_equal):
            self._grow(line, usage.output_tokens or 0, stop)
        if not line.is_sidechain:
            if has_stopped:
                told_session = line.request_session_id
                is_copied = told_session is not None and told_session != line.session_id
                self._turns.go_on(line, stop, at_ms, is_copied)
            else:
                self._turns.last(at_ms)
        self._before, self._before_ms = line, at_ms
        return True

    def _grow(self, line: Line, output: int, stop: str | None) -> None:
        """Let the fact of the line before have what this one tells of its output."""
        known = self.facts[self._before_key]
        doubt = "" if stop is not None else sighting.doubt_of(line)
        if output > known.output_tokens:
            self.facts[known.key] = replace(known, output_tokens=output, estimate=doubt)
        elif output == known.output_tokens and known.estimate and not doubt:
            self.facts[known.key] = replace(known, estimate="")

    def _take_usage(
        self, line: Line, message: Message, usage: Usage, rank: int, at_ms: int
    ) -> None:
        state = self.state
        session = line.request_session_id or line.session_id or self._stem
        key = f"claude:{message.id}" if message.id else sighting.key_of(line, session)
        self._before_key = key
        known = self.facts.get(key)
        written, written_1h = sighting.cache_writes(usage)
        cached = usage.cache_read_input_tokens or 0
        details = usage.output_tokens_details
        # By position: a call with seventeen names takes four times as long.
        seen = UsageFact(
            key,
            _CLAUDE,
            session,
            "",
            state.turn.key if state.turn else f"claude:{session}",
            PROVIDER,
            message.model or "",
            self._place or self._place_of_file(),
            at_ms,
            (usage.input_tokens or 0) + written + cached,
            cached,
            written,
            written_1h,
            usage.output_tokens or 0,
            (details.thinking_tokens or 0) if details else 0,
            "" if message.stop_reason is not None else sighting.doubt_of(line),
            rank,
        )
        if known is not None:
            leads = sighting.rank_of(seen) < sighting.rank_of(known)
            seen = sighting.merged(known, seen, seen_leads=leads)
        self.facts[key] = seen


def _is_alike(line: Line, before: Line) -> bool:
    """Tell whether two lines of a reply are of one session and version, asked for the same way."""
    return (
        line.session_id == before.session_id
        and line.is_sidechain == before.is_sidechain
        and line.version == before.version
        and line.request_session_id == before.request_session_id
        and line.requested_model == before.requested_model
        and not line.is_aborted_mid_stream
        and not before.is_aborted_mid_stream
    )
