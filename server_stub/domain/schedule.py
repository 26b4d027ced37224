"""Schedules: when pings are expected, and which moments lie in maintenance. Pure.

Cron expressions mean what they mean to Debian's cron, both hours of a daylight-saving change
included; cronsim knows its rules (https://github.com/cuu508/cronsim).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from cronsim import CronSim, CronSimError

from server_stub.domain.rule_error import RuleError
from server_stub.domain.usage_window import find_zone
from telemhq_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from telemhq_agents.contract.rules import Schedule, Window

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
FIELD_COUNT = 5
LONGEST_CRON = 200
LONGEST_S = 366 * 24 * 60 * 60
A_FIRST_MOMENT_MS = 1_767_225_600_000
"""The start of 2026: whether an expression ever fires is asked from here on, fifty years ahead."""

MOMENTS_REMEMBERED = 4
WINDOWS_COMPARED = 16
MOST_IN_TURN = 20
MOST_COVERED = 200
"""Windows in turn, after which a schedule counts as covered by them wholly."""

UNITS = ((7 * 86_400, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Timetable:
    """The moments of a cron expression in a time zone.

    Remembers the gaps it was asked about last: all pings between two moments have the same answer.
    """

    __slots__ = ("_cron", "_gaps", "_zone")

    def __init__(self, cron: str, timezone: str) -> None:
        self._cron = expanded(cron)
        self._zone = zone(timezone)
        self._gaps: tuple[tuple[int, int], ...] = ()

    def after(self, after_ms: int) -> int | None:
        """Return the first moment strictly after `after_ms`, None where fifty years have none."""
        for since, until in self._gaps:
            if since <= after_ms < until:
                return until
        found = self._search(after_ms)
        if found is not None:
            self._gaps = ((after_ms, found), *self._gaps[: MOMENTS_REMEMBERED - 1])
        return found

    def _search(self, after_ms: int) -> int | None:
        try:
            start = datetime.fromtimestamp(after_ms // 1000, tz=self._zone)
            # In the second pass of an hour cronsim begins with moments of the first one.
            return next((ms for ms in self._moments(start) if ms > after_ms), None)
        except (ValueError, OverflowError):  # beyond the year 9999
            return None

    def _moments(self, start: datetime) -> Iterator[int]:
        return (int(moment.timestamp()) * 1000 for moment in CronSim(self._cron, start))


@lru_cache(maxsize=4096)
def timetable(cron: str, timezone: str) -> Timetable:
    """Return the timetable of an expression that was checked. Raises RuleError for another one."""
    return Timetable(cron, timezone)


def check(schedule: Schedule) -> None:
    """Raise RuleError where a schedule cannot be followed."""
    if bool(schedule.cron) == bool(schedule.interval_s):
        raise RuleError("cron", "give either cron or interval_s, not both and not neither")
    if not 0 <= schedule.grace_s <= LONGEST_S:
        raise RuleError("grace_s", f"must be from 0 to {LONGEST_S:,} seconds (366 days)")
    if schedule.cron:
        check_cron("cron", schedule.cron, schedule.timezone)
    else:
        check_timezone(schedule.timezone)
        if not 1 <= schedule.interval_s <= LONGEST_S:
            raise RuleError("interval_s", f"must be from 1 to {LONGEST_S:,} seconds (366 days)")


def check_cron(field: str, cron: str, timezone: str) -> None:
    """Raise RuleError where an expression is no cron expression or never fires."""
    try:
        moments = Timetable(cron, timezone)
    except RuleError as error:
        raise RuleError(field if error.field == "cron" else error.field, error.message) from None
    if moments.after(A_FIRST_MOMENT_MS) is None:
        raise RuleError(field, f"{cron!r} never fires: no such day comes within fifty years")


def expanded(cron: str) -> str:
    """Return the five fields of an expression, aliases written out.

    Raises RuleError (field `cron`) where it is no expression.
    """
    text = cron.strip()
    if len(text) > LONGEST_CRON:
        raise RuleError("cron", f"must not be longer than {LONGEST_CRON} characters")
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise RuleError("cron", f"{text!r} is none of {', '.join(ALIASES)}")
        return ALIASES[text.lower()]
    count = len(text.split())
    if count != FIELD_COUNT:
        raise RuleError("cron", f"{text!r} has {count} fields, not five such as in '0 3 * * *'")
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        said = str(error).lower().removeprefix("bad ")
        raise RuleError("cron", f"{text!r} has a bad {said} field") from None
    return text


def next_due(schedule: Schedule, after_ms: int) -> int:
    """Return the first expected moment strictly after `after_ms`.

    Raises RuleError for a schedule that was never checked, or that has no moment left.
    """
    if schedule.interval_s:
        return after_ms + schedule.interval_s * 1000
    due_ms = timetable(schedule.cron, schedule.timezone).after(after_ms)
    if due_ms is None:
        raise RuleError("cron", f"{schedule.cron!r} does not fire any more")
    return due_ms


def upcoming(schedule: Schedule, after_ms: int, count: int) -> list[int]:
    """Return the next `count` expected moments after `after_ms`."""
    moments: list[int] = []
    for _ in range(count):
        after_ms = next_due(schedule, after_ms)
        moments.append(after_ms)
    return moments


def in_words(schedule: Schedule) -> str:
    """Say a schedule in a sentence, such as `At 03:00 every day (Europe/Riga)`."""
    if schedule.interval_s:
        return f"Every {span_in_words(schedule.interval_s)}".replace("Every 1 ", "Every ")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    said = CronSim(expanded(schedule.cron), start).explain()
    return f"{said} ({schedule.timezone})"


def span_in_words(seconds: int) -> str:
    """Say a span of time in its largest whole unit: `90 minutes`, `1 day`."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds} seconds"


def check_window(window: Window) -> None:
    """Raise RuleError where a maintenance window has no end: it must end before it begins again."""
    check_cron("cron", window.cron, window.timezone)
    if not 1 <= window.length_s <= LONGEST_S:
        raise RuleError("length_s", f"must be from 1 to {LONGEST_S:,} seconds (366 days)")
    moments = timetable(window.cron, window.timezone)
    began_ms = moments.after(A_FIRST_MOMENT_MS)
    for _ in range(WINDOWS_COMPARED):
        again_ms = None if began_ms is None else moments.after(began_ms)
        if began_ms is None or again_ms is None:
            return
        if again_ms - began_ms <= window.length_s * 1000:
            raise RuleError("length_s", "is so long that the window begins again before it ends")
        began_ms = again_ms


def in_window(windows: Iterable[Window], at_ms: int) -> int | None:
    """Return the end of the maintenance window that covers `at_ms`, None outside of all.

    Its end is the first moment outside of it; another window may cover that one.
    """
    for window in windows:
        length_ms = window.length_s * 1000
        began_ms = timetable(window.cron, window.timezone).after(at_ms - length_ms)
        if began_ms is not None and began_ms <= at_ms:
            return began_ms + length_ms
    return None


def out_of_windows(windows: Sequence[Window], at_ms: int) -> int:
    """Return the first moment from `at_ms` on that no maintenance window covers.

    After `MOST_IN_TURN` windows in turn it is given up: the moment returned is then covered.
    """
    for _ in range(MOST_IN_TURN):
        end_ms = in_window(windows, at_ms)
        if end_ms is None:
            break
        at_ms = end_ms
    return at_ms


def first_outside(
    windows: Sequence[Window],
    due_ms: int,
    after: Callable[[int], int | None],
    most: int,
    *,
    is_interval: bool,
) -> int | None:
    """Return the first expected moment from `due_ms` on outside of maintenance.

    `after` gives the next one after a moment. Of `most` windows in turn that cover them all, an
    interval has the end of the last, a cron expression none.
    """
    out_ms = due_ms
    for _ in range(most):
        out_ms = out_of_windows(windows, due_ms)
        if out_ms == due_ms:
            return due_ms
        if in_window(windows, out_ms) is not None:
            return None
        next_ms = after(out_ms if is_interval else out_ms - 1)
        if next_ms is None:
            return None
        due_ms = next_ms
    return out_ms if is_interval else None


def is_covered(due: Schedule, windows: Sequence[Window]) -> bool:
    """Tell whether maintenance covers all that a schedule expects; both were checked."""
    if not windows:
        return False

    def after(moment_ms: int) -> int | None:
        if due.interval_s:
            return moment_ms + due.interval_s * 1000
        return timetable(due.cron, due.timezone).after(moment_ms)

    first_ms = after(A_FIRST_MOMENT_MS)
    most = MOST_IN_TURN if due.interval_s else MOST_COVERED
    is_interval = bool(due.interval_s)
    return (
        first_ms is not None
        and first_outside(windows, first_ms, after, most, is_interval=is_interval) is None
    )


def check_timezone(name: str) -> None:
    """Raise RuleError (field `timezone`) where there is no such zone."""
    zone(name)


def zone(name: str) -> tzinfo:
    """Return a time zone. Raises RuleError (field `timezone`) where there is none of that name."""
    if name == "UTC":
        return UTC  # cronsim counts faster there
    try:
        return find_zone(name)
    except UsageError as error:
        raise RuleError("timezone", f"{error.message}; give an IANA name") from None
