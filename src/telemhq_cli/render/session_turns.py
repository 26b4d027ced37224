"""One session, turn by turn. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.sessions import SESSION_SCHEMA, Session, SessionTurn, as_json
from telemhq_agents.sessions import shortened
from telemhq_cli.render.sessions import (
    brief,
    briefly,
    cost_of,
    ending,
    local,
    short_cost,
    short_models,
)
from telemhq_cli.render.table import EXTRA, Column, Table
from telemhq_cli.render.words import duration, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


MAIN = "main"
EXPLAIN = "Line by line, and why: telemhq usage --explain {session}"
TOLD = "As pings told it, a line for each; what corrections changed later has a line of its own."
GONE = "The server keeps no runs of this session any more; its sums stay."
PARTLY_GONE = "The server keeps only some of its runs; the total is of all of them."
MOST_TOOLS = 8


@dataclass(frozen=True, slots=True)
class Detail:
    """A session and its turns, and where they come from."""

    session: Session
    turns: tuple[SessionTurn, ...]
    zone: ZoneInfo
    is_local: bool = True


def detailed(session: Session, turns: Sequence[SessionTurn]) -> Session:
    """Return a session that a server told of with its turns' own times, where it has all of them."""
    if not (turns and _are_all(session, turns)):
        return session
    return replace(
        session,
        began_at=min(one.began_at for one in turns),
        ended_at=max(one.ended_at for one in turns),
        exact_to_ms=1,
    )


def _are_all(session: Session, turns: Sequence[SessionTurn]) -> bool:
    return sum((one.amounts() for one in turns), Amounts()) == session.amounts()


def document(detail: Detail) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.session/1`."""
    return {
        "schema": SESSION_SCHEMA,
        "timezone": detail.zone.key,
        **as_json(detail.session),
        "turns": [as_json(turn) for turn in detail.turns],
    }


def for_programs(detail: Detail) -> Table:
    """Return every field of every turn, raw."""
    columns = tuple(Column(name, name) for name in ("session", *as_json(SessionTurn())))
    rows = [(detail.session.session, *as_json(turn).values()) for turn in detail.turns]
    return Table(columns, rows)


def pairs(detail: Detail) -> list[tuple[str, str]]:
    """Return what is known of the session as a whole, by name."""
    one = detail.session
    lasted = from_iso(one.ended_at) - from_iso(one.began_at)
    agent = one.source.capitalize()
    versions = sorted({turn.agent_version for turn in detail.turns if turn.agent_version})
    found = [
        ("Session", one.session),
        ("Agent", f"{agent} {', '.join(versions)}".rstrip()),
        ("Member", one.member if not detail.is_local else ""),
        ("Project", ", ".join(one.projects)),
        ("When", f"{_when(one.began_at, detail.zone)} to {_when(one.ended_at, detail.zone)}"),
        ("Lasted", f"{duration(lasted)}, active {duration(one.active_ms)}"),
        ("Threads", f"{one.threads}" if one.threads > 1 else ""),
        ("End", ending(one.outcome, one.failure)),
        ("Tools", tools_of(detail.turns)),
    ]
    return [(name, told) for name, told in found if told]


def tools_of(turns: Sequence[SessionTurn]) -> str:
    """Name the tools that turns called, the most used ones, and how often."""
    calls: Counter[str] = Counter()
    for turn in turns:
        calls.update(turn.tools)
    named = [f"{name} {whole(count)}" for name, count in calls.most_common(MOST_TOOLS)]
    more = len(calls) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more > 0 else [])])


def for_people(detail: Detail, short_id: str) -> Table:
    """Return a line for each turn, and the sum.

    Each thread is told apart where there are several, and what tools were called where any was.
    """
    threads = shortened(turn.thread for turn in detail.turns if turn.thread)
    rows = [_row(number, turn, threads) for number, turn in enumerate(detail.turns, start=1)]
    total = detail.session.amounts()
    table = Table(
        _columns(detail.zone),
        rows,
        ("Total", *(None,) * 4, detail.session.active_ms, *_figures(total), None, None),
        notes=_notes(detail, short_id),
        empty=GONE,
    )
    without = [
        *([] if threads else ["thread"]),
        *([] if any(turn.tools for turn in detail.turns) else ["tools"]),
    ]
    return table.without(*without)


def _notes(detail: Detail, short_id: str) -> tuple[str, ...]:
    if detail.is_local:
        return (EXPLAIN.format(session=short_id),)
    return (TOLD,) if _are_all(detail.session, detail.turns) else (TOLD, PARTLY_GONE)


def _columns(zone: ZoneInfo) -> tuple[Column, ...]:
    def at(iso: str | None) -> str:
        return "" if iso is None else _when(iso, zone)

    def at_short(iso: str | None) -> str:
        return "" if iso is None else f"{local(iso, zone):%m-%d %H:%M}"

    return (
        Column("number", "#", _number, is_figure=True),
        Column("began_at", "Began", at, short=at_short, copied=True),
        Column("thread", "Thread", spare=2),
        Column("models", "Model", _models, short=short_models),
        Column("end", "End", _ending, short=_briefly, grudged=1),
        Column("duration_ms", "Took", duration, is_figure=True, short=brief, grudged=4),
        Column("input_tokens", "Input", whole, is_figure=True, grudged=2),
        Column("cached_input_tokens", "Cached", whole, is_figure=True, spare=3),
        Column("output_tokens", "Output", whole, is_figure=True, grudged=3),
        Column("amounts", "Cost", cost_of, is_figure=True, short=short_cost),
        Column("tools", "Tools", _tools, spare=EXTRA),
        Column("responses", "Responses", _whole, is_figure=True, spare=EXTRA + 1),
    )


def _row(number: int, turn: SessionTurn, threads: Mapping[str, str]) -> tuple[Any, ...]:
    amounts = turn.amounts()
    return (
        number,
        turn.began_at,
        threads.get(turn.thread, MAIN),
        turn.models,
        turn,
        turn.duration_ms or None,
        *_figures(amounts),
        turn.tools,
        turn.responses,
    )


def _figures(amounts: Amounts) -> tuple[Any, ...]:
    return (amounts.input_tokens, amounts.cached_input_tokens, amounts.output_tokens, amounts)


def _when(iso: str, zone: ZoneInfo) -> str:
    return f"{local(iso, zone):%Y-%m-%d %H:%M:%S}"


def _number(number: int | str | None) -> str:
    return "" if number is None else str(number)


def _whole(number: int | None) -> str:
    return "" if number is None else whole(number)


def _models(names: Sequence[str] | None) -> str:
    return ", ".join(names or ())


def _ending(turn: SessionTurn | None) -> str:
    return "" if turn is None else _told(turn, lambda: ending(turn.outcome, turn.failure))


def _briefly(turn: SessionTurn | None) -> str:
    return "" if turn is None else _told(turn, lambda: briefly(turn.outcome))


def _told(turn: SessionTurn, words: Callable[[], str]) -> str:
    """Write how a turn ended; what only adds to a turn did not end one."""
    if turn.kind != "run":
        return turn.kind
    return words() if turn.runs else ""


def _tools(tools: Mapping[str, int] | None) -> str:
    return ", ".join(f"{name} {count}" for name, count in (tools or {}).items())
