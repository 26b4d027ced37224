"""Whose usage a command reports, of what time and of which things, wherever it lies."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from telemhq_agents import clock
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands import period, scanning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo  # noqa: TC004 - nobody evaluates it

    from telemhq_agents.contract.usage_report import UsageReport
    from telemhq_agents.ledger.store import Ledger  # noqa: TC004 - nobody evaluates it
    from telemhq_cli.commands.session import Session  # noqa: TC004 - nobody evaluates it

OWN_MEMBER = "me"
"""What the one member of this machine's ledger is called, and whoever asks on a server."""

FIRST_MS, LAST_MS = clock.from_iso("1970-01-01"), clock.from_iso("8999-12-31")
"""Before the one and after the other nothing is looked for: no clock means those times."""


class Scope(StrEnum):
    """Whose usage: this machine's logs, yours on the server, or the whole team's."""

    LOCAL = "local"
    MINE = "mine"
    TEAM = "team"


def scope_of(*, local: bool, mine: bool, team: bool) -> Scope:
    """Return whose usage the switches ask for. Raises UsageError for more than one of them."""
    given = {Scope.LOCAL: local, Scope.MINE: mine, Scope.TEAM: team}
    named = [scope for scope, asked in given.items() if asked]
    if len(named) > 1:
        switches = " and ".join(f"--{scope}" for scope in named)
        raise UsageError(f"{switches} exclude each other; give one of them.")
    return named[0] if named else Scope.LOCAL


@dataclass(frozen=True, slots=True)
class Filters:
    """What of all usage a report is about. No names given are all of them."""

    source: Source | None = None
    since: str | None = None
    until: str | None = None
    timezone: str | None = None
    member: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    tracker: tuple[str, ...] = ()

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the names that were given, by what they are names of."""
        given = {
            "member": self.member,
            "project": self.project,
            "model": self.model,
            "tracker": self.tracker,
        }
        return {name: values for name, values in given.items() if values}


@dataclass(frozen=True, slots=True)
class Reporting:
    """An open source of reports: the ledger of this machine, or a server.

    `since_ms` and `until_ms` are the window asked for, None where it is open; `whose` says in words
    whose usage it is, `empty` what to say where there is none.
    """

    scope: Scope
    filters: Filters
    zone: ZoneInfo
    now_ms: int
    since_ms: int | None
    until_ms: int | None
    whose: str
    empty: str
    ledger: Ledger | None = None
    session: Session | None = None

    def report(self, group_by: tuple[str, ...]) -> UsageReport:
        """Return the report of the window by these groups."""
        return self.between(group_by, self.since_ms, self.until_ms)

    def before(self, group_by: tuple[str, ...]) -> UsageReport:
        """Return the same of the window before. Raises UsageError where there can be none."""
        return self.between(group_by, *self.window_before())

    def window_so_far(self) -> tuple[int, int]:
        """Return the window up to now. Raises UsageError for one without a beginning."""
        if self.since_ms is None:
            raise UsageError("Nothing comes before all time.", "Give --since, such as --since 7d.")
        return self.since_ms, period.end_so_far(self.since_ms, self.until_ms, self.now_ms)

    def window_before(self) -> tuple[int, int]:
        """Return the window of the same length before. Raises UsageError where there can be none."""
        return period.window_before(*self.window_so_far(), self.zone)

    def days_before(self) -> int | None:
        """Return by how many days the window before lies earlier; None where it is no whole ones."""
        return period.whole_days(*self.window_so_far(), self.zone)

    def during(self) -> period.During:
        """Return what the ledger is asked for."""
        return self._during(self.since_ms, self.until_ms)

    def query(self) -> Mapping[str, str | Sequence[str]]:
        """Return what a server is asked for, in the words of its usage report."""
        return self._query(self.since_ms, self.until_ms)

    def between(
        self, group_by: tuple[str, ...], since_ms: int | None, until_ms: int | None
    ) -> UsageReport:
        """Return the report of another time, of the same things."""
        if self.session is not None:
            return self.session.usage(group_by, self._query(since_ms, until_ms))
        if self.ledger is not None:
            return self.ledger.usage(group_by, **asdict(self._during(since_ms, until_ms)))
        raise UsageError("Nothing is open to report from.")

    def _during(self, since_ms: int | None, until_ms: int | None) -> period.During:
        asked = self.filters
        return period.During(
            since_ms, until_ms, self.zone.key, asked.source, asked.project, asked.model
        )

    def _query(
        self, since_ms: int | None, until_ms: int | None
    ) -> Mapping[str, str | Sequence[str]]:
        """Return a question to the server; a date that was given is the server's to read."""
        filters = self.filters
        ends = (
            ("since", filters.since, self.since_ms, since_ms),
            ("until", filters.until, self.until_ms, until_ms),
        )
        window = {
            name: _as_given(text, ms, own) or clock.to_iso(ms)
            for name, text, own, ms in ends
            if ms is not None and (name == "until" or ms > FIRST_MS)
        }
        source = {} if filters.source is None else {"source": filters.source.value}
        whose = {"scope": self.scope.value, "timezone": self.zone.key}
        return {**whose, **window, **source, **filters.named()}


@contextmanager
def opened(
    scope: Scope, filters: Filters, *, account: str | None = None, profile: str | None = None
) -> Iterator[Reporting]:
    """Open what reports come from; this machine's ledger with what is new in the logs booked.

    Raises UsageError for a window without time, and for a name that nobody there has.
    """
    match scope:
        case Scope.LOCAL:
            if account or profile:
                raise UsageError("--account and --profile need --mine or --team.")
            with _own(filters) as found:
                yield found
        case Scope.MINE | Scope.TEAM:
            with _theirs(scope, filters, account, profile) as found:
                yield found
        case _:
            assert_never(scope)


@contextmanager
def _own(filters: Filters) -> Iterator[Reporting]:
    if filters.tracker:
        raise UsageError(
            "This machine's ledger knows no trackers: its runs get one where they are sent.",
            "Give --tracker with --mine or --team.",
        )
    _refuse_unknown(Scope.LOCAL, "member", filters.member, (OWN_MEMBER,), "on this machine")
    zone = period.zone_in_use(filters.timezone)
    now_ms = clock.now_ms()
    window = _window(filters, zone, now_ms)
    sources = tuple(Source) if filters.source is None else (filters.source,)
    with scanning.read_logs(sources) as ledger:
        from telemhq_cli.render import usage as shown  # noqa: PLC0415 - the readers start first

        for name in ("project", "model"):
            wanted = filters.named().get(name, ())
            known = [row.keys[0] for row in ledger.usage((name,)).rows] if wanted else []
            _refuse_unknown(Scope.LOCAL, name, wanted, known, "on this machine")
        empty = shown.nothing_in(scanning.places(sources))
        yield Reporting(
            Scope.LOCAL, filters, zone, now_ms, *window, "this machine", empty, ledger=ledger
        )


@contextmanager
def _theirs(
    scope: Scope, filters: Filters, account: str | None, profile: str | None
) -> Iterator[Reporting]:
    from telemhq_agents.ledger.report import zone_of  # noqa: PLC0415 - for servers alone
    from telemhq_cli.commands import session  # noqa: PLC0415 - credentials, for servers alone
    from telemhq_cli.render import usage as shown  # noqa: PLC0415 - the readers start first

    with session.opened(profile, account) as here:
        zone = zone_of(filters.timezone or here.account.timezone)
        now_ms = clock.now_ms()
        window = _window(filters, zone, now_ms)
        team = here.account.name
        for name, wanted in filters.named().items():
            _refuse_unknown(scope, name, wanted, _known_there(scope, here, name), f"in {team}")
        whose = team if scope is Scope.TEAM else f"you in {team}"
        yield Reporting(scope, filters, zone, now_ms, *window, whose, shown.NO_USAGE, session=here)


def _window(filters: Filters, zone: ZoneInfo, now_ms: int) -> tuple[int | None, int | None]:
    since_ms = period.since_ms(filters.since, zone, now_ms)
    until_ms = period.until_ms(filters.until, zone, now_ms)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError(
            f"No time lies between {filters.since} and {filters.until}.",
            "Put --since before --until.",
        )
    return _within(since_ms, until_ms)


def _as_given(text: str | None, ms: int, own: int | None) -> str | None:
    """Return an end as it was given, where it is the one that was asked for, by a date or time."""
    is_given = text is not None and ms == own and FIRST_MS < ms < LAST_MS
    return period.written_out(text) if text and is_given else None


def _within(since_ms: int | None, until_ms: int | None) -> tuple[int | None, int | None]:
    """Return a window without the times that nobody means: an end among them is open."""
    if since_ms is not None:
        since_ms = None if since_ms <= FIRST_MS else min(since_ms, LAST_MS)
    if until_ms is not None:
        until_ms = None if until_ms > LAST_MS else max(until_ms, FIRST_MS)
    return since_ms, until_ms


def _known_there(scope: Scope, here: Session, name: str) -> list[str]:
    """Return what a server's filter of this name can be given."""
    match name:
        case "member" if scope is Scope.MINE:
            return [OWN_MEMBER, here.me.email]
        case "member":
            return [OWN_MEMBER, *(one.email for one in here.api.members(here.account.id))]
        case "tracker":
            return [text for one in here.api.trackers() for text in (one.id, one.name)]
        case _:
            return [row.keys[0] for row in here.usage((name,), {"scope": scope.value}).rows]


def _refuse_unknown(
    scope: Scope, name: str, wanted: Sequence[str], known: Sequence[str], where: str
) -> None:
    """Raise UsageError for a name that nobody there has: an empty report would hide a slip."""
    there = {one.lower() for one in known} if name == "member" else set(known)
    for one in wanted:
        if one in there:
            continue
        from telemhq_agents.nearest import missed  # noqa: PLC0415 - for a slip alone

        raise UsageError(
            missed(f"There is no {name} {one!r} {where}", one, known),
            f"telemhq usage --{scope} --by {name}",
        )
