"""`telemhq tracker schedule …`: when pings are expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_cli.commands import session, spans
from telemhq_cli.commands.options import (
    AsCsv,
    AsJson,
    ProfileName,
    TrackerName,
    at_most_one,
)
from telemhq_cli.render import judging as shown
from telemhq_cli.render.output import form_of, say, show_json, show_table, show_text

if TYPE_CHECKING:
    from telemhq_agents.contract.judging import ScheduleExplanation
    from telemhq_agents.contract.rules import Schedule
    from telemhq_cli.commands.session import Session

app = typer.Typer(no_args_is_help=True, help="When pings are expected.")

SHOWN_AFTER_A_CHANGE = 3
CRON_FIELDS = 5
_ALIAS = re.compile(r"@[a-z]+")

Expression = Annotated[
    str, typer.Argument(metavar="CRON", help="Five fields, quoted: '0 3 * * *'; or @daily.")
]
Every = Annotated[
    str, typer.Option("--every", metavar="SPAN", help="Instead of CRON: 30m, 1h, 1d.")
]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="Whose clock: an IANA name; else yours here."),
]
Grace = Annotated[
    str | None, typer.Option("--grace", metavar="SPAN", help="How late is late enough: 10m.")
]
Meant = Annotated[
    str, typer.Argument(metavar="TRACKER|CRON", help="A tracker, a cron expression or a span.")
]


@app.command("set")
def set_(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    cron: Expression = "",
    every: Every = "",
    timezone: Zone = None,
    grace: Grace = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Expect a ping at the moments of CRON, or --every so often."""
    from telemhq_agents.contract.rules import Schedule  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    if bool(cron) == bool(every):
        raise UsageError(
            "A schedule is either CRON or --every.",
            f"telemhq tracker schedule set {tracker!r} '0 3 * * *', or … --every 1h",
        )
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        known = judging.rules(here.api, found.id)
        before = known.rules.schedule or Schedule()
        schedule = Schedule(
            cron=cron,
            interval_s=spans.seconds(every, "--every") if every else 0,
            timezone=timezone or _zone(before, cron),
            grace_s=before.grace_s if grace is None else spans.seconds(grace, "--grace"),
        )
        judging.change_rules(here.api, found.id, {"schedule": schedule})
        explained = judging.explanation(here.api, schedule, SHOWN_AFTER_A_CHANGE)
    _explain(explained, as_json=as_json)


def _zone(before: Schedule, cron: str) -> str:
    """Return the zone that a schedule had, else that of this machine, whose cron it may be."""
    if not cron:
        return "UTC"
    if before.cron:
        return before.timezone
    from telemhq_cli.commands import period  # noqa: PLC0415 - the ledger's rooms

    return period.zone_in_use(None).key


@app.command()
def clear(tracker: TrackerName, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Expect no pings any more: the tracker is ad hoc again."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        found = here.tracker(tracker)
        changed = judging.change_rules(here.api, found.id, {"schedule": None})
    if as_json:
        show_json(changed)
    else:
        say(f"{found.name} has no schedule: a ping is never missed.")


@app.command()
def explain(meant: Meant, as_json: AsJson = False, profile: ProfileName = None) -> None:
    """Say a schedule in words, and when pings are expected next."""
    _explain(_asked(meant, 5, profile), as_json=as_json)


@app.command("next")
def next_(
    meant: Meant,
    count: Annotated[
        int, typer.Option("--number", "-n", min=1, max=100, help="How many moments.")
    ] = 10,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List when pings are expected next."""
    at_most_one(json=as_json, csv=as_csv)
    found = _asked(meant, count, profile)
    show_table(shown.upcoming(found), form_of(as_json=as_json, as_csv=as_csv), found.upcoming)


def _asked(meant: str, count: int, profile: str | None) -> ScheduleExplanation:
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        return judging.explanation(here.api, _schedule(here, meant), count)


def _schedule(here: Session, meant: str) -> Schedule:
    """Return the schedule of the tracker of this name, else the one that is written here."""
    from telemhq_agents.contract.rules import Schedule  # noqa: PLC0415 - not needed for --help
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    trackers = here.trackers()
    if any(meant in {one.name, one.id} for one in trackers):
        tracker = session.chosen_tracker(trackers, meant)
        schedule = judging.rules(here.api, tracker.id).rules.schedule
        if schedule is None:
            raise UsageError(
                f"{tracker.name} has no schedule.",
                f"telemhq tracker schedule set {tracker.name!r} '0 3 * * *'",
            )
        return schedule
    if _ALIAS.fullmatch(meant.strip()) or len(meant.split()) == CRON_FIELDS:
        return Schedule(cron=meant.strip(), timezone=_zone(Schedule(), meant))
    try:
        return Schedule(interval_s=spans.seconds(meant, "the schedule"))
    except UsageError as error:
        raise UsageError(
            f"{meant!r} is no tracker of yours and no schedule.",
            "Give a tracker's name, five cron fields ('0 3 * * *'), @daily, or a span (1h).",
        ) from error


def _explain(found: ScheduleExplanation, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    say(found.in_words + ".", "")
    show_text(shown.upcoming(found))
