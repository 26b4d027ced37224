"""Sessions as a table, one line each. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from telemhq_agents.clock import from_iso
from telemhq_agents.contract.sessions import (
    SESSIONS_SCHEMA,
    Outcome,
    Session,
    SessionPage,
    as_json,
    spent,
)
from telemhq_agents.sessions import shortened
from telemhq_cli.render import screen
from telemhq_cli.render.cells import columns as columns_of
from telemhq_cli.render.measure import CENT, Measure, short
from telemhq_cli.render.table import EXTRA, Column, Table
from telemhq_cli.render.words import cost, counted, duration, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemhq_agents.contract.amounts import Amounts

EMPTY = "No sessions in this period."
OUTSIDE = "(none)"
TO_THE_QUARTER = (
    "The server knows times to the quarter-hour; a session failed if any run of it did."
)
NO_PRICE = "n/a*"
SHORT_NAME, SHORT_PROJECT = 12, 11
_SECOND_MS = 1000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_DATED = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d)$")
_BRIEFLY = {Outcome.INTERRUPTED: "cut off", Outcome.UNFINISHED: "no end"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A list of sessions as asked for: `ids` are all there are, to shorten those shown."""

    page: SessionPage
    zone: ZoneInfo
    ids: Collection[str] = ()
    is_team: bool = False
    is_local: bool = True
    empty: str = EMPTY
    notes: tuple[str, ...] = field(default=())

    def rest(self) -> Amounts:
        """Return what the sessions that are not shown used."""
        page = self.page
        listed = sum((one.amounts() for one in page.sessions), page.outside.amounts())
        return page.total.amounts() - listed

    def more(self) -> int:
        """Return how many sessions are not shown."""
        return self.page.count - len(self.page.sessions)


def document(shown: Shown) -> dict[str, Any]:
    """Return the stable machine-readable shape, `telemhq.sessions/1`."""
    page = shown.page
    return {
        "schema": SESSIONS_SCHEMA,
        "timezone": shown.zone.key,
        "count": page.count,
        "sessions": [as_json(one) for one in page.sessions],
        "rest": {"count": shown.more()} | spent(shown.rest()),
        "outside": asdict(page.outside),
        "total": asdict(page.total),
    }


def for_programs(sessions: Sequence[Session]) -> Table:
    """Return every field of every session, raw."""
    columns = tuple(Column(name, name) for name in as_json(Session()))
    return Table(columns, [tuple(as_json(one).values()) for one in sessions])


def for_people(shown: Shown) -> Table:
    """Return a line for each session, one for all the others, and the sum."""
    ids = shortened([*shown.ids, *(one.session for one in shown.page.sessions)])
    rows: list[Sequence[Any]] = [_row(one, ids) for one in shown.page.sessions]
    if shown.more():
        rows.append(_sums(f"{whole(shown.more())} more", shown.rest()))
    outside = shown.page.outside.amounts()
    if outside:
        rows.append(_sums(OUTSIDE, outside))
    total = shown.page.total.amounts()
    table = Table(
        _columns(shown.zone, is_team=shown.is_team),
        rows,
        _sums("Total", total),
        notes=_notes(shown),
    )
    table = table if shown.is_team else table.without("member")
    # Of how long a session lasted the server knows next to nothing, but how long its runs took.
    table = table.without("active_ms") if shown.is_local else table.without("began_at", "lasted_ms")
    return replace(table, empty=shown.empty, total=table.total if rows else None)


def _columns(zone: ZoneInfo, *, is_team: bool) -> tuple[Column, ...]:
    brief_time = "%m-%d" if is_team else "%m-%d %H:%M"

    def at(iso: str | None) -> str:
        return "" if iso is None else f"{local(iso, zone):%Y-%m-%d %H:%M}"

    def at_short(iso: str | None) -> str:
        return "" if iso is None else local(iso, zone).strftime(brief_time)

    return (
        Column("session", "Session", copied=True),
        Column("member", "Member", short=_local_part),
        Column("ended_at", "Seen", at, short=at_short, copied=True),
        Column("began_at", "Began", at, spare=EXTRA, copied=True),
        Column("project", "Project", short=_short_project, spare=1),
        Column("models", "Model", _models, short=short_models, spare=3),
        Column("lasted_ms", "Time", _span, is_figure=True, short=brief, spare=4),
        Column("active_ms", "Active", _span, is_figure=True, short=brief, spare=4),
        Column("total_tokens", "Tokens", whole, is_figure=True),
        Column("amounts", "Cost", cost_of, is_figure=True, short=short_cost),
        Column("outcome", "End", _ending, short=_briefly, spare=2),
    )


def _row(one: Session, ids: Mapping[str, str]) -> tuple[Any, ...]:
    return (
        ids[one.session],
        one.member,
        one.ended_at,
        one.began_at,
        _first(one.projects),
        one.models,
        from_iso(one.ended_at) - from_iso(one.began_at),
        one.active_ms,
        one.total_tokens,
        one.amounts(),
        one,
    )


def _sums(label: str, amounts: Amounts) -> tuple[Any, ...]:
    nothing = (None,) * 7
    return (label, *nothing, amounts.total_tokens, amounts, None)


def _notes(shown: Shown) -> tuple[str, ...]:
    told = []
    if shown.more():
        told.append(f"{counted(shown.page.count, 'session')} in all; --limit 0 lists every one.")
    if not shown.is_local:
        told.append(TO_THE_QUARTER)
    return (*told, *shown.notes)


def local(iso: str, zone: ZoneInfo) -> datetime:
    """Return a moment on a zone's clocks."""
    return datetime.fromtimestamp(from_iso(iso) / 1000, tz=zone)


def brief(ms: int | None) -> str:
    """Write a duration in at most five characters or so: 34s, 12m, 2h05m, 3d04h."""
    if ms is None:
        return ""
    if 0 < ms < _SECOND_MS:
        return "<1s"
    seconds = ms // _SECOND_MS
    if seconds < _MINUTE_S:
        return f"{seconds}s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S}m"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S}h{seconds % _HOUR_S // _MINUTE_S:02d}m"
    return f"{seconds // _DAY_S}d{seconds % _DAY_S // _HOUR_S:02d}h"


def cost_of(amounts: Amounts) -> str:
    """Write what something cost; a star marks what has no price."""
    return cost(amounts.cost_nano, amounts.unpriced_tokens)


def short_cost(amounts: Amounts) -> str:
    """Write what something cost, to the cent."""
    if not amounts.unpriced_tokens:
        return _cents(amounts.cost_nano)
    return f"{_cents(amounts.cost_nano)}*" if amounts.cost_nano else NO_PRICE


def _cents(nano: int) -> str:
    return "<$0.01" if 0 < nano < CENT else short(nano, Measure.COST)


def short_model(name: str) -> str:
    """Write a model as people call it: claude-haiku-4-5-20251001 is haiku-4-5."""
    return _DATED.sub("", name.removeprefix("claude-"))


def short_models(names: Sequence[str] | None) -> str:
    """Write the model that cost most, and how many others there are."""
    if not names:
        return ""
    more = _more(names)
    return f"{_cut(short_model(names[0]), SHORT_NAME - len(more))}{more}"


def ending(outcome: Outcome, failure: str) -> str:
    """Write how something came out, with the kind of failure where one is known."""
    return f"{outcome.value}: {failure}" if failure else outcome.value


def briefly(outcome: Outcome) -> str:
    """Write how something came out in at most seven characters."""
    return _BRIEFLY.get(outcome, outcome.value)


def _models(names: Sequence[str] | None) -> str:
    return f"{names[0]}{_more(names)}" if names else ""


def _first(names: Sequence[str]) -> str:
    return f"{names[0]}{_more(names)}" if names else ""


def _more(names: Sequence[str]) -> str:
    return f" +{len(names) - 1}" if len(names) > 1 else ""


def _cut(name: str | None, length: int = SHORT_NAME) -> str:
    if name is None or columns_of(name) <= length:
        return name or ""
    while columns_of(name) >= length:
        name = name[:-1]
    return name + ("~" if screen.is_ascii() else "…")


def _short_project(name: str | None) -> str:
    return _cut(name, SHORT_PROJECT)


def _local_part(member: str | None) -> str:
    return _cut(member.partition("@")[0], 8) if member else ""


def _span(ms: int | None) -> str:
    return duration(ms)


def _ending(one: Session | None) -> str:
    return "" if one is None else ending(one.outcome, one.failure)


def _briefly(one: Session | None) -> str:
    return "" if one is None else briefly(one.outcome)
