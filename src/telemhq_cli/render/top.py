"""`telemhq top`: one look at the day, as lines that fill a screen and no more. Pure.

The day's spend, what runs, what ran last, what fails. Where a screen is too small for all of it,
each part gives up some of its lines, and says how many; failing trackers give up theirs last.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.text import Text

from telemhq_agents.clock import from_iso, to_iso
from telemhq_agents.contract.amounts import Amounts, nano
from telemhq_agents.contract.resources import Run, Tracker
from telemhq_agents.contract.sessions import Outcome, Session
from telemhq_agents.contract.usage_report import UsageRow, figures
from telemhq_agents.ledger.report import moment_of
from telemhq_cli.render.blocks import Block, cut, drawn, kept
from telemhq_cli.render.table import GAP, Column, Table
from telemhq_cli.render.voice import visible
from telemhq_cli.render.words import ago, compact, cost, counted, duration, money

if TYPE_CHECKING:
    from collections.abc import Sequence


SCHEMA = "telemhq.top/1"
LEAST_WIDTH = 20
NONE = "(none)"
TITLE = "telemhq top"


@dataclass(frozen=True, slots=True)
class Spend:
    """What was used since local midnight, and on the day before up to the same time.

    `before_until_ms` is the quarter-hour at which that ended, milliseconds UTC.
    """

    today: Amounts
    before: Amounts
    before_until_ms: int


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run, and the tracker that it came to."""

    tracker: str
    run: Run


@dataclass(frozen=True, slots=True)
class There:
    """What a server said, and when; `problem` is why it says nothing newer, "" where it does."""

    url: str
    asked_ms: int | None = None
    trackers: int = 0
    failing: tuple[Tracker, ...] = ()
    runs: tuple[TrackedRun, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Top:
    """All that one frame shows. `sessions` are this machine's of today, the latest first.

    `parts` are today's sums by `part` (project or member); `there` is None without a login.
    """

    now_ms: int
    zone: ZoneInfo
    whose: str
    spend: Spend
    part: str = "project"
    parts: tuple[UsageRow, ...] = ()
    sessions: tuple[Session, ...] | None = ()
    there: There | None = None
    notes: tuple[str, ...] = ()


def lines(top: Top, width: int, height: int | None, *, ascii_only: bool) -> list[Text]:
    """Return the frame: at most `height` lines (None: as many as it takes), none over `width`.

    Where there is no screen to fill, what kept the server from being asked stands at the end.
    """
    width = max(width, LEAST_WIDTH)
    head = _head(top, width)
    notes = list(top.notes)
    if height is None:
        unasked = [top.there.problem] if top.there and top.there.problem else []
        notes = [line for note in (*notes, *unasked) for line in wrap(note, width)]
    foot = [Text(visible(note), style="yellow") for note in notes]
    blocks = _blocks(top)
    if height is None:
        shares = [max(len(block.table.rows), 1) for block in blocks]
    else:
        blocks, shares = kept(blocks, height - len(head) - len(foot))
    body = [
        line
        for block, share in zip(blocks, shares, strict=True)
        for line in [Text(), *drawn(block, share, width)]
    ]
    found = [*head, *body]
    if height is not None:
        found = found[: max(height - len(foot), 0)]
        found += [Text()] * (height - len(found) - len(foot))
    elif foot:
        found.append(Text())
    return [cut(line, width, ascii_only=ascii_only) for line in (found + foot)[:height]]


def document(top: Top) -> dict[str, Any]:
    """Return the frame's data, `telemhq.top/1`."""
    spend = {
        "today": figures(top.spend.today),
        "yesterday_by_now": figures(top.spend.before),
        "yesterday_until": to_iso(top.spend.before_until_ms),
    }
    parts = [{top.part: row.keys[0], **figures(row.amounts)} for row in top.parts]
    there = top.there
    return {
        "schema": SCHEMA,
        "at": to_iso(top.now_ms),
        "timezone": top.zone.key,
        "whose": top.whose,
        **spend,
        f"by_{top.part}": parts,
        "running": None if top.sessions is None else _running(top.sessions),
        "latest": None if top.sessions is None else _rested(top.sessions),
        "server": None if there is None else _server(there),
        "notes": list(top.notes),
    }


def change(now: int, before: int) -> str:
    """Say how much more than before that is: +23%; "" where there is nothing to compare with."""
    if not before:
        return ""
    return f"{(now - before) / before:+.0%}"


def _server(there: There) -> dict[str, Any]:
    return {
        "url": there.url,
        "asked_at": None if there.asked_ms is None else to_iso(there.asked_ms),
        "trackers": there.trackers,
        "failing": list(there.failing),
        "runs": [{"tracker": one.tracker, "run": one.run} for one in there.runs],
        "problem": there.problem,
    }


def _head(top: Top, width: int) -> list[Text]:
    now = moment_of(top.now_ms, top.zone)
    clock = f"{now:%a %d %b %H:%M:%S}"
    title = Text(f"{TITLE} · {visible(top.whose)}", style="bold")
    title.truncate(max(width - len(clock) - GAP, 0))
    title.append(" " * max(width - title.cell_len - len(clock), 1))
    title.append(clock, style="not bold dim")
    return [title, Text(), _today(top), _before(top)]


def _today(top: Top) -> Text:
    today = top.spend.today
    found = Text("Today  ")
    found.append(cost(today.cost_nano, today.unpriced_tokens), style="bold")
    found.append(f"  {compact(today.total_tokens)} tokens, {counted(today.runs, 'run')}, ")
    found.append(f"{today.failures} failed", style="red" if today.failures else "")
    return found


def _before(top: Top) -> Text:
    before, until = top.spend.before, moment_of(top.spend.before_until_ms, top.zone)
    found = Text("       ")
    more = change(top.spend.today.cost_nano, before.cost_nano)
    shown = cost(before.cost_nano, before.unpriced_tokens)
    found.append(f"yesterday by {until:%H:%M}: {shown}, {compact(before.total_tokens)} tokens")
    found.append(f"  {more}" if more else "")
    found.stylize("dim")
    return found


def _blocks(top: Top) -> list[Block]:
    found = []
    if top.there is not None:
        found.append(_failing(top, top.there))
    if top.sessions is not None:
        running = _running(top.sessions)
        table = _sessions(running, top, "Nothing runs here.")
        found.append(Block(f"Running: {len(running)}", table))
    if top.there is not None:
        found.append(Block("Latest runs", _runs(top, top.there)))
    elif top.sessions is not None:
        table = _sessions(_rested(top.sessions), top, "None today.")
        found.append(Block("Latest sessions", table))
    found.append(Block(f"Today by {top.part}", _parts(top)))
    return found


def _running(sessions: Sequence[Session]) -> list[Session]:
    return [one for one in sessions if one.outcome is Outcome.RUNNING]


def _rested(sessions: Sequence[Session]) -> list[Session]:
    return [one for one in sessions if one.outcome is not Outcome.RUNNING]


def _sessions(found: Sequence[Session], top: Top, empty: str) -> Table:
    columns = (
        Column("project", "Project", _named),
        Column("source", "Agent", str.capitalize, spare=2),
        Column("model", "Model", _named, spare=1),
        Column("began_at", "Since", lambda at: _clock(at, top), copied=True, spare=4),
        Column("ended_at", "Ago", lambda at: ago(top.now_ms - from_iso(at)), is_figure=True),
        Column("total_tokens", "Tokens", compact, is_figure=True),
        Column("cost", "Cost", is_figure=True),
        Column("outcome", "Outcome", spare=3),
    )
    table = Table(columns, [_session(one) for one in found], empty=empty)
    return table if _rested(found) else table.without("outcome")


def _session(one: Session) -> tuple[Any, ...]:
    spent = cost(nano(one.cost_usd), one.unpriced_tokens)
    return (
        *(_first_of(one.projects), one.source, _first_of(one.models)),
        *(one.began_at, one.ended_at),
        *(one.total_tokens, spent, one.failure or one.outcome.value),
    )


def _runs(top: Top, there: There) -> Table:
    columns = (
        Column("tracker", "Tracker"),
        Column("received_at", "Ago", lambda at: ago(top.now_ms - from_iso(at)), is_figure=True),
        Column("status", "Status"),
        Column("project", "Project", _named, spare=2),
        Column("model", "Model", _named, spare=3),
        Column("duration_ms", "Took", duration, is_figure=True, spare=1),
        Column("total_tokens", "Tokens", compact, is_figure=True),
        Column("cost", "Cost", is_figure=True),
    )
    rows = [
        (
            *(one.tracker, one.run.received_at, one.run.status, one.run.project, one.run.model),
            *(one.run.duration_ms, one.run.total_tokens, _cost_of(one.run)),
        )
        for one in there.runs
    ]
    return Table(columns, rows, empty=_unheard(there) or "No runs yet.")


def _failing(top: Top, there: There) -> Block:
    columns = (
        Column("name", "Tracker"),
        Column("failing_since", "Since", lambda at: _clock(at, top), copied=True),
        Column("cause", "Why", _named),
        Column("owner", "Owner", spare=1),
    )
    rows = [(one.name, one.failing_since, one.cause, one.owner) for one in there.failing]
    empty = _unheard(there) or f"None of {counted(there.trackers, 'tracker')}."
    table = Table(columns, rows, empty=empty)
    style = "red" if rows else ""
    return Block(f"Failing trackers: {len(rows)}", table, style, is_urgent=True)


def _parts(top: Top) -> Table:
    columns = (
        Column(top.part, top.part.capitalize(), _named),
        Column("runs", "Runs", compact, is_figure=True),
        Column("failures", "Failed", compact, is_figure=True, spare=1),
        Column("total_tokens", "Tokens", compact, is_figure=True),
        Column("cost", "Cost", is_figure=True),
    )
    rows = [
        (
            *(row.keys[0], row.amounts.runs, row.amounts.failures, row.amounts.total_tokens),
            cost(row.amounts.cost_nano, row.amounts.unpriced_tokens),
        )
        for row in top.parts
    ]
    return Table(columns, rows, empty="Nothing used yet today.")


def _unheard(there: There) -> str:
    """Say that a server was not heard of yet, "" where it was."""
    if there.asked_ms is not None:
        return ""
    return "The server cannot be asked." if there.problem else "Asking the server …"


def _clock(iso: str | None, top: Top) -> str:
    """Write when something began: the time of today, else the day before it."""
    if not iso:
        return ""
    then, now = moment_of(from_iso(iso), top.zone), moment_of(top.now_ms, top.zone)
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then:%d %b %H:%M}"


def _cost_of(run: Run) -> str:
    return "" if run.cost_usd is None else money(nano(run.cost_usd))


def _first_of(names: Sequence[str]) -> str:
    """Name the first, and say how many more there are."""
    return f"{names[0]} +{len(names) - 1}" if len(names) > 1 else "".join(names)


def _named(text: str) -> str:
    return text or NONE
