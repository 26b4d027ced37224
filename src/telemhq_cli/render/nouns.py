"""The nouns of the API as tables and pairs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents.contract.amounts import nano
from telemhq_agents.contract.resources import TrackerState
from telemhq_cli.render.cells import padded, still
from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import ago, compact, duration, moment, money, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemhq_agents.contract.resources import (
        Account,
        ApiKey,
        Invitation,
        Member,
        Run,
        Tracker,
    )

_RUN_GAP = 2
_RUN_WIDTHS = {"received": 14, "status": 8, "tokens": 6, "cost": 8, "took": 11}
_LEAST_NAME = 6
_GIVEN_UP = ("took", "model", "tokens", "cost")
"""Columns of a followed run that a narrow screen goes without, the first one first."""


def trackers(found: Sequence[Tracker]) -> Table:
    """Return trackers as a table; ping URLs, which are secrets, are left to `tracker show`."""
    columns = (
        Column("name", "Name"),
        Column("id", "Id", is_detail=_are_distinct(t.name for t in found), copied=True),
        Column("state", "State"),
        Column("runs", "Runs", whole, is_figure=True, spare=1),
        Column("last_run_at", "Last run", moment, copied=True),
        Column("last_status", "Status", spare=2),
        Column("owner", "Owner", spare=3),
        Column("schedule", "Schedule", is_detail=True),
        Column("due_at", "Due", moment, is_detail=True, copied=True),
        Column("failing_since", "Failing since", moment, is_detail=True, copied=True),
        Column("cause", "Why", is_detail=True),
    )
    rows = [
        (
            *(t.name, t.id, t.state, t.runs, t.last_run_at, t.last_status, t.owner),
            *(t.schedule, t.due_at, t.failing_since, t.cause),
        )
        for t in found
    ]
    return Table(columns, rows, empty="No trackers yet. Next: telemhq tracker create NAME")


def tracker(one: Tracker, state: str = "", due: str = "") -> list[tuple[str, object]]:
    """Return a tracker as pairs; `state` and `due` say more of it where more is known."""
    return [
        ("Name", one.name),
        ("Id", one.id),
        ("Ping URL", one.ping_url),
        ("State", state or _state(one)),
        ("Owner", one.owner),
        ("Runs", whole(one.runs)),
        ("Last run", f"{moment(one.last_run_at)} {one.last_status}".strip() or "none yet"),
        *([("Next due", due or moment(one.due_at))] if one.due_at else []),
        ("Created", moment(one.created_at)),
    ]


def _state(one: Tracker) -> str:
    """Say how a tracker is doing, and since when and why where that is bad."""
    if one.state is not TrackerState.FAILING:
        return one.state.value
    since = f" since {moment(one.failing_since)}" if one.failing_since else ""
    return f"{one.state.value}{since}: {one.cause}" if one.cause else f"{one.state.value}{since}"


def runs(found: Sequence[Run], empty: str = "No runs yet.") -> Table:
    """Return runs as a table."""
    columns = (
        Column("received_at", "Received", moment, copied=True),
        Column("kind", "Kind", is_detail={run.kind for run in found} <= {"run"}, spare=2),
        Column("status", "Status"),
        Column("outcome", "Judged", is_detail={run.outcome for run in found} <= {"", "passed"}),
        Column("ended", "Ended"),
        Column("project", "Project"),
        Column("model", "Model"),
        Column("total_tokens", "Tokens", whole, is_figure=True),
        Column("cost_usd", "Cost", _cost, is_figure=True),
        Column("duration_ms", "Took", duration, is_figure=True, spare=1),
    )
    rows = [
        (
            *(run.received_at, run.kind, run.status, run.outcome, ended(run), run.project),
            run.model,
            *(run.total_tokens, run.cost_usd, run.duration_ms),
        )
        for run in found
    ]
    return Table(columns, rows, empty=empty)


def run_heading(width: int) -> str:
    """Return what stands above runs that are shown a line each."""
    return _run_cells(
        {
            "received": "Received (UTC)",
            "status": "Status",
            "project": "Project",
            "model": "Model",
            "tokens": "Tokens",
            "cost": "Cost",
            "took": "Took",
        },
        width,
    )


def run_line(run: Run, width: int, *, failed: bool) -> str:
    """Return a run as one line, as it is followed; where it is narrow, names give way, then more."""
    judged = run.outcome.replace("passed", "")
    return _run_cells(
        {
            "received": f"{run.received_at[5:10]} {run.received_at[11:19]}",
            "status": "failed" if failed else judged or run.status or run.kind,
            "project": run.project,
            "model": run.model,
            "tokens": compact(run.total_tokens),
            "cost": _fitting("cost", _cost(run.cost_usd), f"${compact(int(run.cost_usd or 0))}"),
            "took": _fitting("took", duration(run.duration_ms), ago(run.duration_ms or 0)),
        },
        width,
    )


def _fitting(name: str, text: str, short: str) -> str:
    """Return a figure, in short where it is too large for its column."""
    return text if len(text) <= _RUN_WIDTHS[name] else short


def _run_cells(told: dict[str, str], width: int) -> str:
    widths = _run_widths(width)
    return (" " * _RUN_GAP).join(_run_cell(name, told[name], widths[name]) for name in widths)


def _run_cell(name: str, text: str, width: int) -> str:
    if name in {"tokens", "cost", "took"}:
        return text.rjust(width)
    return padded(still(text), width)


def _run_widths(width: int) -> dict[str, int]:
    """Return the columns that there is room for, and how wide they are: names share what is left."""
    kept = ["received", "status", "project", "model", "tokens", "cost", "took"]
    for given_up in ("", *_GIVEN_UP):
        kept = [name for name in kept if name != given_up]
        names = sum(name not in _RUN_WIDTHS for name in kept)
        taken = sum(_RUN_WIDTHS.get(name, 0) for name in kept) + _RUN_GAP * (len(kept) - 1)
        if width - taken >= _LEAST_NAME * names:
            break
    share, rest = divmod(max(width - taken, _LEAST_NAME), names)
    return {name: _RUN_WIDTHS.get(name, share + rest * (name == "model")) for name in kept}


def ended(run: Run) -> str:
    """Say how a job ended, "exit 3" or "SIGKILL"; "" where its ping told neither."""
    signal, code = run.payload.get("signal"), run.payload.get("exit_code")
    if isinstance(signal, str) and signal:
        return signal
    return f"exit {code}" if isinstance(code, int | str) and not isinstance(code, bool) else ""


def members(found: Sequence[Member]) -> Table:
    """Return members as a table."""
    columns = (
        Column("email", "E-mail", copied=True),
        Column("name", "Name"),
        Column("role", "Role"),
        Column("state", "State", spare=1),
        Column("joined_at", "Joined", moment, spare=2, copied=True),
    )
    return Table(columns, [(m.email, m.name, m.role, m.state, m.joined_at) for m in found])


def accounts(found: Sequence[Account], in_use: str) -> Table:
    """Return accounts as a table; the one in use is marked."""
    columns = (
        Column("name", "Team"),
        Column("id", "Id", is_detail=_are_distinct(a.name for a in found), copied=True),
        Column("role", "Role"),
        Column("timezone", "Time zone", spare=1),
        Column("in_use", "In use", lambda used: "yes" if used else ""),
    )
    rows = [(a.name, a.id, a.role, a.timezone, a.id == in_use) for a in found]
    return Table(columns, rows, empty="You are in no team. Next: telemhq team create NAME")


def invitations(found: Sequence[Invitation]) -> Table:
    """Return invitations as a table."""
    columns = (
        Column("email", "E-mail", copied=True),
        Column("role", "Role"),
        Column("invited_by", "Invited by", spare=1),
        Column("expires_at", "Good until", moment, copied=True),
        Column("accepted_at", "Accepted", moment, copied=True),
    )
    rows = [(i.email, i.role, i.invited_by, i.expires_at, i.accepted_at) for i in found]
    return Table(columns, rows, empty="No invitations. Next: telemhq team invite EMAIL")


def keys(found: Sequence[ApiKey]) -> Table:
    """Return API keys as a table, without their secrets."""
    any_revoked = any(key.revoked_at for key in found)
    columns = (
        Column("name", "Name"),
        Column("id", "Id", copied=True),
        Column("prefix", "Begins with", is_detail=True),
        Column("created_at", "Created", moment, spare=2, copied=True),
        Column("last_used_at", "Last used", moment, spare=1, copied=True),
        Column("revoked_at", "Revoked", moment, is_detail=not any_revoked, copied=True),
    )
    rows = [(k.name, k.id, k.prefix, k.created_at, k.last_used_at, k.revoked_at) for k in found]
    return Table(columns, rows)


def _are_distinct(names: Iterable[str]) -> bool:
    listed = list(names)
    return len(set(listed)) == len(listed)


def _cost(usd_amount: float | None) -> str:
    return "" if usd_amount is None else money(nano(usd_amount))
