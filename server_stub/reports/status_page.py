"""Public status pages: what strangers may know of chosen trackers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.status_days import days, first_day_ms
from server_stub.reports.kept import Kept
from server_stub.reports.pages import rendered, style
from server_stub.store import archives, public
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.public import DayState, PublicStatus, PublicTracker
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from server_stub.domain.status_days import Days
    from server_stub.store.engine import Store
    from server_stub.store.public import Standing, StoredPage
    from telemhq_agents.contract.public import PublicDay

STYLE = "status.css"
MINUTE_MS = 60_000
KEPT_S = 5.0
STATE_WORDS = {
    TrackerState.NEW: "no runs yet",
    TrackerState.ACTIVE: "OK",
    TrackerState.LATE: "late",
    TrackerState.FAILING: "failing",
    TrackerState.PAUSED: "paused",
}
_GLYPHS = {DayState.UP: "▮", DayState.DOWN: "▯", DayState.PAUSED: "‖", DayState.UNKNOWN: "·"}
_DAY_WORDS = {
    DayState.UP: "no failure",
    DayState.DOWN: "failures",
    DayState.PAUSED: "paused",
    DayState.UNKNOWN: "no data",
}
_KEY = ", ".join(f"{_GLYPHS[state]} {_DAY_WORDS[state]}" for state in DayState)
_kept: Kept[PublicStatus] = Kept(KEPT_S)


@dataclass(frozen=True, slots=True)
class ShownDay:
    """A day's bar; `glyph` is what is left of it without a stylesheet."""

    css: str
    words: str
    glyph: str


@dataclass(frozen=True, slots=True)
class Row:
    """One tracker of the page, in words."""

    label: str
    state: str
    css: str
    last_run_at: str | None
    last_run: str
    sentence: str
    days: list[ShownDay]
    bad_days: list[str]


def public_status(store: Store, token: str, now_ms: int) -> PublicStatus | None:
    """Return what a public address shows; None where it shows nothing (any more)."""
    with store.read() as connection:
        page = public.page_at(connection, token)
    if page is None:
        return None
    found = page
    return _kept.get((store, page), lambda: _status(store, found, now_ms))


def status_html(status: PublicStatus, data_url: str) -> str:
    """Write a status page: no script, and readable without its stylesheet."""
    rows = [_row(one) for one in status.trackers]
    return rendered(
        "status.html",
        status=status,
        rows=rows,
        headline=_headline(status),
        style=style(STYLE),
        as_of=_moment(status.as_of),
        key=_KEY,
        data_url=data_url,
    )


def _status(store: Store, page: StoredPage, now_ms: int) -> PublicStatus:
    since_ms = first_day_ms(now_ms)
    ids = [tracker_id for tracker_id, _ in page.trackers]
    failed_on: dict[int, dict[int, bool]] = {tracker_id: {} for tracker_id in ids}
    with store.read() as connection:
        standing = public.standings(connection, page.account_id, ids)
        for day in archives.since(connection, page.account_id, ids, since_ms):
            failed_on[day.tracker_id][day.day_ms] = day.failed > 0
        history = {
            tracker_id: days(
                public.turns(connection, page.account_id, tracker_id, since_ms),
                now_ms,
                failed_on[tracker_id],
            )
            for tracker_id in standing
        }
    shown = [
        _tracker(label, standing[tracker_id], history[tracker_id])
        for tracker_id, label in page.trackers
        if tracker_id in standing
    ]
    failing = sum(one.state is TrackerState.FAILING for one in shown)
    return PublicStatus(page.title, to_iso(now_ms - now_ms % MINUTE_MS), failing, shown)


def _tracker(label: str, standing: Standing, history: Days) -> PublicTracker:
    last_ms = standing.last_run_ms
    return PublicTracker(
        label=label or standing.name,
        state=standing.state,
        last_run_at=None if last_ms is None else to_iso(last_ms),
        up_percent=history.up_percent,
        days=history.days,
    )


def _headline(status: PublicStatus) -> str:
    if not status.trackers:
        return "No trackers"
    late = sum(one.state is TrackerState.LATE for one in status.trackers)
    counts = ((status.failing, "failing"), (late, "late"))
    said = [f"{count} of {len(status.trackers)} {state}" for count, state in counts if count]
    if any(one.state is TrackerState.ACTIVE for one in status.trackers):
        return ", ".join(said) or "Everything is OK"
    return ", ".join(said) or "Nothing is running"


def _row(one: PublicTracker) -> Row:
    down = [day for day in one.days if day.state is DayState.DOWN]
    return Row(
        label=one.label,
        state=STATE_WORDS[one.state],
        css="quiet" if one.state is TrackerState.PAUSED else one.state.value,
        last_run_at=one.last_run_at,
        last_run="" if one.last_run_at is None else _moment(one.last_run_at),
        sentence=_sentence(one, len(down)),
        days=[ShownDay(day.state.value, _words(day), _GLYPHS[day.state]) for day in one.days],
        bad_days=[_words(day) for day in reversed(down)],
    )


def _sentence(one: PublicTracker, down: int) -> str:
    span = f"Last {len(one.days)} days"
    if one.up_percent is None and not down:
        return f"{span}: no data."
    known = "" if one.up_percent is None else f"{one.up_percent:g} % of the time without failure, "
    on_days = "failures on no day" if not down else f"failures on {down} day{'s' * (down > 1)}"
    return f"{span}: {known}{on_days}."


def _words(day: PublicDay) -> str:
    if day.state is DayState.DOWN and day.failing_s:
        return f"{day.day}: failing for {_length(day.failing_s)}"
    return f"{day.day}: {_DAY_WORDS[day.state]}"


def _length(seconds: int) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _moment(iso: str) -> str:
    return f"{iso[:10]} {iso[11:16]} UTC"
