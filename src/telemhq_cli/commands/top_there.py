"""What `telemhq top` shows of a server: failing trackers, latest runs, and a team's day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemhq_agents import clock, credentials, failing, locations, settings
from telemhq_agents.contract.ping import KIND_RUN
from telemhq_agents.contract.resources import TrackerState
from telemhq_agents.errors import NotLoggedInError
from telemhq_agents.ledger.report import zone_of
from telemhq_cli.commands import session
from telemhq_cli.commands.top_here import day_so_far
from telemhq_cli.render.top import Spend, There, Top, TrackedRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from telemhq_agents.contract.resources import Run, Tracker
    from telemhq_agents.credentials import Login
    from telemhq_agents.errors import TelemhqError
    from telemhq_cli.commands.session import Session

MOST_RUNS = 8
"""Runs that are shown: they are among the latest of the eight trackers that ran last."""

ASKED_RUNS = 30
"""Pings that are looked through for them; corrections and starts are no runs."""

PART = "member"


class _Heard(NamedTuple):
    last_run_at: str | None
    runs: tuple[Run, ...]


def login_in_use(profile: str | None) -> Login | NotLoggedInError | None:
    """Return the login that a view is with; why there is none; None where nobody ever logged in.

    Raises NotLoggedInError for a profile that was named.
    """
    ours, environ = locations.ours(), session.environ_for(profile)
    held = credentials.load(ours.credentials)
    if profile is None and not held.profiles and credentials.API_KEY_VARIABLE not in environ:
        return None
    try:
        return credentials.login(settings.load(ours.settings, environ), held, environ)
    except NotLoggedInError as error:
        if profile is not None:
            raise
        return error


class Trackers:
    """Asks a server for trackers and runs; runs only of those trackers that had any since."""

    def __init__(self, login: Login, account: str | None) -> None:
        self._login, self._account = login, account
        self._known: dict[str, _Heard] = {}

    def ask(self, before: There) -> There:
        """Return what the server says now."""
        with session.connected(self._login, self._account) as here:
            return self.heard(here, before.url)

    def heard(self, here: Session, url: str) -> There:
        """Return what the server says in an account."""
        found = here.api.trackers()
        fail = sorted(
            (one for one in found if one.state is TrackerState.FAILING),
            key=lambda one: (one.failing_since or "", one.name),
        )
        if self._account is None:
            failing.remember(len(fail), clock.now_ms())
        recent = sorted(found, key=lambda one: one.last_run_at or "", reverse=True)
        ran = [one for one in recent[:MOST_RUNS] if one.last_run_at]
        self._known = {one.id: self._runs(here, one) for one in ran}
        runs = latest((one.name, self._known[one.id].runs) for one in ran)
        return There(url, clock.now_ms(), len(found), tuple(fail), tuple(runs))

    def _runs(self, here: Session, one: Tracker) -> _Heard:
        known = self._known.get(one.id)
        if known is not None and known.last_run_at == one.last_run_at:
            return known
        page = here.api.runs(one.id, limit=ASKED_RUNS)
        runs = [run for run in page.runs if run.kind == KIND_RUN]
        return _Heard(one.last_run_at, tuple(runs[:MOST_RUNS]))


class Team:
    """Asks a server for a team's day: `Trackers`, and everybody's usage."""

    def __init__(self, login: Login, account: str | None, zone: str | None) -> None:
        self._login, self._account, self._zone = login, account, zone
        self._trackers = Trackers(login, account)

    def ask(self, _before: Top | None = None) -> Top:
        """Return the team's day as the server has it now."""
        with session.connected(self._login, self._account) as here:
            zone = zone_of(self._zone or here.account.timezone)
            now_ms = clock.now_ms()
            midnight, start, end = day_so_far(now_ms, zone)
            scope = {"scope": "team", "timezone": zone.key}
            today = here.usage((PART,), {**scope, "since": clock.to_iso(midnight)})
            ends = {"since": clock.to_iso(start), "until": clock.to_iso(end)}
            return Top(
                now_ms=now_ms,
                zone=zone,
                whose=here.account.name,
                spend=Spend(today.total, here.usage((), {**scope, **ends}).total, end),
                part=PART,
                parts=today.rows,
                sessions=None,
                there=self._trackers.heard(here, here.url),
            )


def latest(runs: Iterable[tuple[str, Sequence[Run]]]) -> list[TrackedRun]:
    """Return the latest runs of several trackers, newest arrival first."""
    found = [TrackedRun(name, run) for name, some in runs for run in some]
    found.sort(key=lambda one: (one.run.received_at, one.run.id), reverse=True)
    return found[:MOST_RUNS]


def in_words(error: TelemhqError | OSError) -> str:
    """Say why a server was not asked, in one line."""
    return getattr(error, "message", "") or str(error)
