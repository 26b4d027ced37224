"""One rollout's events, in order → usage facts and turns. Pure: no file, no clock.

Codex's files repeat themselves: running totals are written again without any spend, forks and
subagents begin with a copy of their parent's history, totals restart or are carried over. What
counts and what does not is told in docs/explanation/counting.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from codex_watcher import ends
from codex_watcher.decode import (
    Event,
    SessionMeta,
    TaskComplete,
    TaskStarted,
    TokenCount,
    TurnAborted,
    TurnContext,
    UsageRecord,
    UserMessage,
)
from codex_watcher.identity import count_key, names_parent, turn_key, uuid7_ms
from codex_watcher.spend import NOTHING, Parts, Rule, fitted, judge, parts
from codex_watcher.state import FoldState, History, OpenTurn
from telemhq_agents import clock
from telemhq_agents.privacy import repository_name
from telemhq_agents.usage import Place, Source, Turn, TurnStatus, UsageFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from telemhq_agents.collecting import Namer

UNKNOWN_MODEL = "unknown"
MODEL_NOT_NAMED = "the log names no model"
PARENT_NOT_NAMED = "begins like a fork and names no parent"
LONG_AFTER_MS = 60_000
"""A turn's first line is written when it begins; one that is written this much later is a copy."""

# Every response asks for these, and looking a member of an enum up takes longer than what is asked.
_CODEX, _COPIED_HISTORY, _UNDECIDED = Source.CODEX, History.COPIED, History.UNDECIDED
_COPIED, _RECORDED, _RECORD = Rule.COPIED, Rule.RECORDED, Rule.RECORD


class _Shared(NamedTuple):
    """What the responses of one turn share, until something else is told."""

    session: str
    turn_key: str
    provider: str
    model: str
    place: Place
    estimate: str


class ThreadFold:
    """Takes the events of one rollout in order and collects facts and turns.

    `written_ms` is when the file was last written, for a log that tells no time at all. `observer`
    is told of every line with usage what became of it: the rule, the tokens, the fact if any.
    """

    def __init__(
        self,
        state: FoldState,
        namer: Namer,
        written_ms: int,
        observer: Callable[[Rule, Parts, UsageFact | None], None] | None = None,
    ) -> None:
        self.state = state
        self.facts: list[UsageFact] = []
        self.turns: list[Turn] = []
        self._namer = namer
        self._places: dict[tuple[str, str, str], Place] = {}
        self._shared: dict[tuple[str, str], _Shared] = {}
        self._written_ms = written_ms
        self._observer = observer

    def take(self, event: Event) -> None:
        """Add what `event` tells."""
        self.take_all((event,))

    def take_all(self, events: Iterable[Event]) -> None:
        """Add what `events` tell, in their order."""
        state = self.state
        for event in events:
            said, at_ms = event.said, event.at_ms
            if at_ms:
                state.last_ms = at_ms
            else:
                at_ms = self._time()
            if isinstance(said, TokenCount):
                self._count(said, at_ms)
            elif isinstance(said, UsageRecord):
                self._record(said, at_ms)
            else:
                self._shared.clear()
                self._take_other(said, at_ms)

    def _take_other(
        self,
        said: SessionMeta | TurnContext | TaskStarted | TaskComplete | TurnAborted | UserMessage,
        at_ms: int,
    ) -> None:
        match said:
            case TurnContext() | TaskStarted():
                self._begin(said, at_ms)
            case TaskComplete() | TurnAborted():
                self._end(said, at_ms)
            case UserMessage():
                self._prompt(at_ms)
            case SessionMeta():
                self._meet(said)
            case _:
                assert_never(said)

    def rest(self) -> None:
        """Book nameless turns as ended with what was last seen: the log fell silent."""
        for turn_id, turn in self.state.open.items():
            if turn.nameless:
                self._close(turn_id, turn)

    def drain(self) -> tuple[list[UsageFact], list[Turn]]:
        """Hand over what was collected since the last time."""
        facts, turns = self.facts, self.turns
        self.facts, self.turns = [], []
        return facts, turns

    def _time(self) -> int:
        """Return when an event without a time was, 0 where nothing in the log tells.

        Keys are made of it.
        """
        state = self.state
        if not state.last_ms:
            born = uuid7_ms(state.thread) or 0
            state.last_ms = born if clock.is_plausible(born) else 0
        return state.last_ms

    def _is_own(self) -> bool:
        return self.state.history is not _COPIED_HISTORY and self.state.copied_counts == 0

    def _meet(self, meta: SessionMeta) -> None:
        state = self.state
        if state.known:
            state.has_parent = state.has_parent or meta.id != state.thread
            return
        state.known = True
        state.thread = meta.id or state.thread
        state.session = meta.session_id or state.thread
        state.provider = meta.model_provider or ""
        state.cli_version = meta.cli_version or ""
        state.home = state.cwd = meta.cwd or ""
        state.repository = repository_name((meta.git.repository_url if meta.git else None) or "")
        state.has_parent = names_parent(meta)

    def _begin(self, said: TurnContext | TaskStarted, at_ms: int) -> None:
        state, turn_id = self.state, said.turn_id or ""
        self._locate(turn_id, at_ms)
        state.has_turn_ids = state.has_turn_ids or bool(turn_id)
        if isinstance(said, TurnContext):
            state.model = said.model or state.model
            state.cwd = said.cwd or state.cwd
        if not self._is_own():
            return
        if turn_id:
            self._open(turn_id, at_ms)
        if isinstance(said, TurnContext) and (turn := state.open.get(state.current)):
            turn.model, turn.cwd, turn.has_context = state.model, state.cwd, True
            self._tell(state.current, at_ms)

    def _locate(self, turn_id: str, at_ms: int) -> None:
        """Decide by a turn's age whether the log has come to the thread's own turns.

        Without a parent a turn is older than its thread because the clock was set back between
        them, unless it was written down long after it began.
        """
        state = self.state
        if state.history is History.OWN:
            return
        born, began = uuid7_ms(state.thread), uuid7_ms(turn_id)
        if born is None or began is None:
            return
        if began < born and not state.has_parent and at_ms - began > LONG_AFTER_MS:
            state.has_parent, state.estimate = True, PARENT_NOT_NAMED
        if began >= born or not state.has_parent:
            state.history = History.OWN
            state.copied_counts = 0
        else:
            state.history = History.COPIED

    def _prompt(self, at_ms: int) -> None:
        """Begin a nameless turn: a person's prompt begins it, the next prompt ends it."""
        if self._is_own() and not self.state.has_turn_ids:
            self._open(str(at_ms), at_ms, nameless=True)
            self._tell(str(at_ms), at_ms)

    def _open(self, turn_id: str, at_ms: int, *, nameless: bool = False) -> None:
        state = self.state
        state.current = turn_id
        if turn_id != state.ended and turn_id not in state.open:
            state.open[turn_id] = OpenTurn(at_ms, at_ms, state.cwd, state.model, nameless=nameless)

    def _tell(self, turn_id: str, at_ms: int) -> None:
        """Book an open turn as running, and close those that it followed."""
        turn = self.state.open.get(turn_id)
        if turn is None:
            return
        turn.last_ms = max(turn.last_ms, at_ms)
        if not turn.told:
            turn.told = True
            self._close_all_but(turn_id)
            self.turns.append(self._turn(turn_id, turn.cwd, turn.started_ms))

    def _close_all_but(self, turn_id: str) -> None:
        for other_id in [key for key in self.state.open if key != turn_id]:
            self._close(other_id, self.state.open.pop(other_id))

    def _close(self, turn_id: str, turn: OpenTurn) -> None:
        """Book the end of a turn whose end the log does not tell."""
        if not turn.told:
            return
        status = TurnStatus.SUCCESS if turn.nameless else TurnStatus.INTERRUPTED
        duration_ms = turn.last_ms - turn.started_ms if turn.nameless else None
        end = (turn.last_ms, duration_ms, status)
        self.turns.append(self._turn(turn_id, turn.cwd, turn.started_ms, end))

    def _end(self, said: TaskComplete | TurnAborted, at_ms: int) -> None:
        state, turn_id = self.state, said.turn_id or self.state.current
        turn = state.open.pop(turn_id, None)
        if not turn_id or not self._is_own() or (turn is None and self._is_older(turn_id)):
            return
        if turn:
            self._close_all_but(turn_id)
        started_ms = turn.started_ms if turn else ends.started_ms(said, at_ms)
        told_ms = ends.duration_ms(said, at_ms)
        duration_ms = at_ms - started_ms if told_ms is None else told_ms
        end = (at_ms, max(0, duration_ms), ends.status(said, turn))
        cwd = turn.cwd if turn else state.cwd
        self.turns.append(self._turn(turn_id, cwd, started_ms, end, ends.failure(said)))
        state.ended = turn_id

    def _is_older(self, turn_id: str) -> bool:
        """Tell whether a turn is a parent's."""
        if not self.state.has_parent:
            return False
        born, began = uuid7_ms(self.state.thread), uuid7_ms(turn_id)
        return born is not None and began is not None and began < born

    def _turn(
        self,
        turn_id: str,
        cwd: str,
        started_ms: int,
        end: tuple[int, int | None, TurnStatus] = (0, None, TurnStatus.RUNNING),
        failure: str = "",
    ) -> Turn:
        state = self.state
        ended_ms, duration_ms, status = end
        return Turn(
            key=turn_key(state.thread, turn_id),
            source=_CODEX,
            session_id=state.session or state.thread,
            thread_id=state.thread,
            place=self._place(cwd),
            started_ms=started_ms or self._written_ms,
            ended_ms=None if status is TurnStatus.RUNNING else ended_ms or self._written_ms,
            duration_ms=duration_ms,
            status=status,
            agent_version=state.cli_version,
            failure=failure,
        )

    def _record(self, said: UsageRecord, at_ms: int) -> None:
        state = self.state
        thread = said.thread_id or state.thread
        usage = parts(said.usage)
        is_foreign = state.known and thread != state.thread
        if not self._is_own() or (is_foreign and state.history is _UNDECIDED):
            self._pass_over(_COPIED, usage)
            return
        state.recorded = True
        turn_id = said.turn_id or state.current or str(at_ms)
        if said.response_id:
            key = f"codex:{said.response_id}"
        else:
            total = parts(said.thread_token_usage) if said.thread_token_usage else usage
            key = count_key(thread, turn_id, total)
        self._book(_RECORD, key, thread, turn_id, at_ms, usage)

    def _count(self, said: TokenCount, at_ms: int) -> None:
        state, info = self.state, said.info
        if info is None:
            self._pass_over(Rule.NO_TOTAL, NOTHING)
            return
        total = parts(info.total_token_usage)
        if state.copied_counts or state.history is _COPIED_HISTORY:
            rule, spent = _COPIED, NOTHING
        elif state.recorded:
            rule, spent = _RECORDED, NOTHING
        else:
            rule, spent = judge(state.base, total, parts(info.last_token_usage))
        if any(spent):
            turn_id = state.current or str(at_ms)
            named = state.has_turn_ids and turn_id == state.current
            key = count_key(state.thread, turn_id if named else at_ms, total)
            self._book(rule, key, state.thread, turn_id, at_ms, spent)
        elif self._observer is not None:
            self._observer(rule, parts(info.last_token_usage), None)
        state.base = total
        state.recorded = False
        if state.copied_counts:
            state.copied_counts -= 1

    def _pass_over(self, rule: Rule, told: Parts) -> None:
        if self._observer is not None:
            self._observer(rule, told, None)

    def _book(  # noqa: PLR0917 - called for every response, and keywords cost time
        self, rule: Rule, key: str, thread: str, turn_id: str, at_ms: int, usage: Parts
    ) -> None:
        state = self.state
        if thread == state.thread:
            turn = state.open.get(turn_id)
            if turn is not None and turn.told:
                turn.last_ms = max(turn.last_ms, at_ms)
            else:
                self._open_and_tell(turn_id, at_ms)
        shared = self._shared.get((thread, turn_id)) or self._share(thread, turn_id)
        session, key_of_turn, provider, model, place, estimate = shared
        tokens = whole, cached, written, output, reasoning = fitted(usage)
        fact = UsageFact(
            key,
            _CODEX,
            session,
            thread,
            key_of_turn,
            provider,
            model,
            place,
            at_ms or self._written_ms,
            whole,
            cached,
            written,
            0,
            output,
            reasoning,
            estimate,
        )
        self.facts.append(fact)
        if self._observer is not None:
            self._observer(rule, tokens, fact)

    def _open_and_tell(self, turn_id: str, at_ms: int) -> None:
        """Let a response begin or go on with its turn, which may end others."""
        self._shared.clear()
        if turn_id not in self.state.open:
            self._open(turn_id, at_ms, nameless=turn_id == str(at_ms))
        self._tell(turn_id, at_ms)

    def _share(self, thread: str, turn_id: str) -> _Shared:
        state = self.state
        turn = state.open.get(turn_id)
        model = (turn.model if turn else "") or state.model
        shared = self._shared[thread, turn_id] = _Shared(
            session=state.session or state.thread,
            turn_key=turn_key(thread, turn_id),
            provider=state.provider,
            model=model or UNKNOWN_MODEL,
            place=self._place(turn.cwd if turn else state.cwd),
            estimate=state.estimate or ("" if model else MODEL_NOT_NAMED),
        )
        return shared

    def _place(self, cwd: str) -> Place:
        """Name a place; the remote that the log tells is that of the directory it began in."""
        home, repository = self.state.home, self.state.repository
        place = self._places.get((cwd, home, repository))
        if place is None:
            inside = cwd == home or cwd.startswith(home.rstrip("/\\") + "/")
            place = self._namer.place(cwd, repository if home and inside else "")
            self._places[cwd, home, repository] = place
        return place
