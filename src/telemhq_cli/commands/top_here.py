"""What `telemhq top` shows of this machine: its ledger, brought up to date at each look."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_agents import clock, locations
from telemhq_agents.ledger import session_list
from telemhq_agents.ledger.session_list import Asked
from telemhq_agents.sessions import QUIET_MS
from telemhq_agents.usage import Source
from telemhq_cli.commands import period, scanning
from telemhq_cli.render.top import Spend, Top

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from telemhq_agents.contract.sessions import Session
    from telemhq_agents.ledger.store import Ledger

HERE = "this machine"
MOST_SESSIONS = 50
PART = "project"


def first_look(zone: ZoneInfo) -> Top:
    """Read what is new in the logs, with a word of patience where that takes a while, and look."""
    with scanning.read_logs(tuple(Source)) as ledger:
        return looked(ledger, zone, clock.now_ms())


def look(zone: ZoneInfo) -> Top:
    """Read what is new in the logs, unless another process is at it, and look.

    The ledger is open for that long only, and its lock is held for the reading alone.
    """
    with _read_quietly() as (ledger, notes):
        return looked(ledger, zone, clock.now_ms(), notes)


def looked(ledger: Ledger, zone: ZoneInfo, now_ms: int, notes: tuple[str, ...] = ()) -> Top:
    """Return what a ledger holds of the local day of `now_ms`."""
    midnight, start, end = day_so_far(now_ms, zone)
    today = ledger.usage((PART,), since_ms=midnight)
    before = ledger.usage((), since_ms=start, until_ms=end)
    return Top(
        now_ms=now_ms,
        zone=zone,
        whose=HERE,
        spend=Spend(today.total, before.total, end),
        part=PART,
        parts=today.rows,
        sessions=_sessions(ledger, min(midnight, now_ms - QUIET_MS), now_ms),
        notes=notes,
    )


def day_so_far(now_ms: int, zone: ZoneInfo) -> tuple[int, int, int]:
    """Return when the local day began, the day before it, and that one's end at the same time.

    To the quarter-hour, which a clock of today has not left yet.
    """
    midnight = period.midnight(period.day_of(now_ms, zone), zone)
    so_far = period.end_so_far(midnight, None, now_ms)
    return midnight, *period.window_before(midnight, so_far, zone)


def _sessions(ledger: Ledger, since_ms: int, now_ms: int) -> tuple[Session, ...]:
    asked = Asked(since_ms=since_ms)
    with ledger.lent() as connection:
        found = session_list.sessions_of(connection, asked, limit=MOST_SESSIONS, now_ms=now_ms)
        return tuple(found)


@contextmanager
def _read_quietly() -> Iterator[tuple[Ledger, tuple[str, ...]]]:
    from telemhq_cli import intake  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.opening import open_ledger, own_namer  # noqa: PLC0415 - same

    ours = locations.ours()
    problems: list[str] = []
    with open_ledger(ours) as ledger:
        with ledger.booking(0) as is_ours:
            # Who else holds the lock books the same: the next look will find it.
            if is_ours:
                namer = own_namer(ours)
                found = intake.read_logs(ledger, tuple(Source), namer, clock.now_ms())
                problems = [problem for report in found.values() for problem in report.problems]
        yield ledger, tuple(problems)
