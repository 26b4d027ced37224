"""What a session says at its end of its own cost, requests without a line included. Pure.

Claude Code writes a `cost-state` when it exits and at /clear: cumulative over resumptions, inherited
by forks, often twice, and not at all when it is killed. The last one of a file holds all before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from claude_code_hooks.state import CostState
from telemhq_agents.usage import SessionTotal, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from claude_code_hooks.decode import Line, Spent
    from claude_code_hooks.state import FoldState
    from telemhq_agents.usage import Place

MANY = ""
"""Stands for the answering model where several answered for the one that was asked for."""


class Costs:
    """Keeps the session's last word on its cost, and whether it can be compared with its lines."""

    __slots__ = ("_state",)

    def __init__(self, state: FoldState) -> None:
        self._state = state

    def take(self, line: Line, stem: str, at_ms: int) -> None:
        """Take a `cost-state`: it takes the place of the one before."""
        state, turn = self._state, self._state.turn
        # A killed process writes no word of the reply that it was waiting for, and yet its cost.
        is_cut_off = turn is not None and turn.is_working and not turn.is_ended
        state.cost = CostState(
            session_id=line.session_id or stem,
            at_ms=at_ms,
            spent=line.model_usage or {},
            answered=state.cost.answered,
            is_inherited=state.has_copies or state.is_fork,
            is_interrupted=state.has_interrupts or is_cut_off,
            is_told=False,
        )

    def take_reply(self, asked: str | None, answered: str) -> None:
        """Take a reply: what was told before no longer holds all, and models have two names."""
        self.go_on()
        if asked:
            names = self._state.cost.answered
            if names.setdefault(asked, answered) != answered:
                names[asked] = MANY

    def go_on(self) -> None:
        """Take it that the session went on."""
        cost = self._state.cost
        if cost.spent and not cost.is_followed:
            cost.is_followed, cost.is_told = True, False

    def drain(self, place: Callable[[], Place]) -> list[SessionTotal]:
        """Hand over the session's last word, where it is new or no longer holds.

        It waits for the first message, which tells where the session works. A fork's is of nothing:
        what it tells begins with its parent's, and may take the place of an earlier word.
        """
        cost = self._state.cost
        if cost.is_told or not self._state.cwd:
            return []
        cost.is_told = True
        spent_on: dict[str, _Tokens] = {}
        for asked, spent in cost.spent.items():
            model = cost.answered.get(asked) or asked
            more = _Tokens() if cost.is_inherited else _tokens(spent)
            pairs = zip(spent_on.get(model, _Tokens()), more, strict=True)
            spent_on[model] = _Tokens(*(sum(pair) for pair in pairs))
        return [self._total(model, tokens, place()) for model, tokens in spent_on.items()]

    def _total(self, model: str, tokens: _Tokens, place: Place) -> SessionTotal:
        cost = self._state.cost
        is_mixed = any(cost.answered.get(asked) == MANY for asked in cost.spent)
        is_spoiled = cost.is_inherited or cost.is_interrupted or cost.is_followed
        return SessionTotal(
            Source.CLAUDE,
            cost.session_id,
            model,
            place,
            cost.at_ms,
            is_complete=not (is_spoiled or is_mixed),
            **tokens._asdict(),
        )


class _Tokens(NamedTuple):
    """Amounts as `SessionTotal` names them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def _tokens(spent: Spent) -> _Tokens:
    nested = spent.cache_creation_5m_input_tokens + spent.cache_creation_1h_input_tokens
    written = max(spent.cache_creation_input_tokens, nested)
    cached = spent.cache_read_input_tokens
    return _Tokens(
        spent.input_tokens + written + cached,
        cached,
        written,
        spent.cache_creation_1h_input_tokens,
        spent.output_tokens,
        spent.thinking_tokens,
    )
