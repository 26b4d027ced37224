"""What the lines of one transcript add up to: usage facts, turns, the session's own total. Pure.

The rules and their reasons are docs/explanation/counting.md, "Claude Code". A fold reads lines in
their order and can stop after any of them: its state, a plain JSON value, goes into the cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from claude_code_hooks import sighting
from claude_code_hooks.costs import Costs
from claude_code_hooks.decode import SYNTHETIC_MODEL, Line, Message, Usage, is_result
from claude_code_hooks.moments import Moments
from claude_code_hooks.sighting import OF_COPY, OF_SIDECHAIN
from claude_code_hooks.turns import STILL_WORKING, Turns
from telemhq_agents.usage import Place, Source, UsageFact

if TYPE_CHECKING:
    from claude_code_hooks.state import FoldState
    from telemhq_agents.collecting import Namer
    from telemhq_agents.usage import SessionTotal, Turn

PROVIDER = "anthropic"


class TranscriptFold:
    """Folds one file. `stem` is its name without `.jsonl`: a session's id, or a sub-agent's."""

    __slots__ = (
        "_before",
        "_before_ms",
        "_costs",
        "_last_usage",
        "_moments",
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
        moments: Moments | None = None,
    ) -> None:
        self.state = state
        self.facts: dict[str, UsageFact] = {}
        self._namer = namer
        self._stem = stem
        self._written_ms = written_ms
        self._moments = moments or Moments()
        self._turns = Turns(state, stem, self._place_of_file)
        self._costs = Costs(state)
        self._place: Place | None = None
        self._before: Line | None = None
        self._last_usage: tuple[str, Usage] | None = None
        self._before_ms = 0

    def take(self, line: Line) -> None:
        """Add one line. Raises BadLineError when it is a reply that nothing identifies."""
        match line.type:
            case "assistant":
                at_ms = self._begin(line)
                if line.message is not None:
                    self._take_reply(line, line.message, at_ms)
            case "user" if not is_result(line):
                self._before = None
                if self._turns.take_user(line, self._begin(line)):
                    self._costs.go_on()
            case "system":
                self._before = None
                self._turns.take_system(line, self._time(line))
            case "queue-operation":
                if not self.state.has_messages and not self.state.opened_ms:
                    self._turns.open(line, self._moments.told_ms(line.timestamp))
            case "cost-state":
                self._before = None
                self._costs.take(line, self._stem, self.state.last_ms or self._written_ms)
            case _:
                return

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
        state.has_messages = True
        if not state.cwd and line.cwd:
            state.cwd = line.cwd
        told_ms = self._moments.told_ms(line.timestamp)
        if told_ms:
            state.last_ms = told_ms
            return told_ms
        return self._time(line)

    def _time(self, line: Line) -> int:
        state = self.state
        told_ms = self._moments.told_ms(line.timestamp)
        state.last_ms = told_ms or state.last_ms or state.opened_ms or self._written_ms
        return state.last_ms

    def _place_of_file(self) -> Place:
        # A session wanders; its project is where it began.
        if self._place is None:
            place = self._namer.place(self.state.cwd)
            if not self.state.cwd:
                return place
            self._place = place
        return self._place

    def _take_reply(self, line: Line, message: Message, at_ms: int) -> None:
        if self._is_again(line, at_ms):
            self._before_ms = at_ms
            if not line.is_sidechain:
                self._turns.last(at_ms)
            return
        self._before = None
        if message.model == SYNTHETIC_MODEL:
            self._turns.take_notice(line, at_ms)
            return
        told_session = line.request_session_id
        is_copied = told_session is not None and told_session != line.session_id
        if not line.is_sidechain:
            self._turns.go_on(line, message, at_ms, is_copied=is_copied)
        usage = message.usage
        if usage is None:
            return
        if line.requested_model is not None or self.state.cost.spent:
            self._costs.take_reply(line.requested_model, message.model or "")
        rank = self._rank(line, is_copy=is_copied or at_ms < self.state.opened_ms)
        self._take_usage(line, message, usage, rank, at_ms)
        self._before, self._before_ms = line, at_ms

    def _is_again(self, line: Line, at_ms: int) -> bool:
        """Tell whether a line tells nothing but a later time than the one before it.

        A reply has one line for each block of its content, and most are of that kind.
        """
        before, message = self._before, line.message
        if before is None or before.message is None or message is None:
            return False
        known = before.message
        return (
            message.id == known.id
            and message.stop_reason == known.stop_reason
            and message.stop_reason in STILL_WORKING
            and bool(message.id)
            and _rest_of(line, message) == _rest_of(before, known)
            and at_ms >= self._before_ms
            and not (line.is_aborted_mid_stream or before.is_aborted_mid_stream)
            and not self.state.opened_ms
        )

    def _rank(self, line: Line, *, is_copy: bool) -> int:
        is_foreign = line.session_id != self._stem and line.session_id is not None
        rank = OF_SIDECHAIN if line.is_sidechain else 0
        if is_copy or (is_foreign and not rank):
            self.state.has_copies = True
            return OF_COPY + rank
        return rank

    def _take_usage(
        self, line: Line, message: Message, usage: Usage, rank: int, at_ms: int
    ) -> None:
        state = self.state
        session = line.request_session_id or line.session_id or self._stem
        key = f"claude:{message.id}" if message.id else sighting.key_of(line, session)
        known = self.facts.get(key)
        doubt = "" if message.stop_reason is not None else sighting.doubt_of(line)
        before, self._last_usage = self._last_usage, (key, usage)
        if known and before and before[0] == key and not sighting.leads(rank, at_ms, known):
            grown = sighting.grown(known, before[1], usage, doubt)
            if grown is not None:
                self.facts[key] = grown
                return
        written, written_1h = sighting.cache_writes(usage)
        cached = usage.cache_read_input_tokens or 0
        details = usage.output_tokens_details
        # By position: a call with seventeen names takes four times as long.
        seen = UsageFact(
            key,
            Source.CLAUDE,
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
            doubt,
            rank,
        )
        if known is not None:
            leads = sighting.rank_of(seen) < sighting.rank_of(known)
            seen = sighting.merged(known, seen, seen_leads=leads)
        self.facts[key] = seen


def _rest_of(line: Line, message: Message) -> tuple[object, ...]:
    """Return all that counts of a reply's line but its id, its time and why it ended."""
    return (
        message.usage,
        message.model,
        line.session_id,
        line.request_session_id,
        line.is_sidechain,
        line.version,
        line.requested_model,
    )
