"""`telemhq tracker set|transitions`: thresholds, silences and alerts, and what came of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents.contract.rules import Alerting, Every, Overlap, Summary
from telemhq_agents.errors import UsageError
from telemhq_cli.commands import session, spans
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, TrackerName, at_most_one
from telemhq_cli.render import judging as shown
from telemhq_cli.render.output import form_of, say, show_json, show_pairs, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.judging import Transition
    from telemhq_agents.contract.rules import Rules

LARGEST_PAGE = 1000
_NOTHING = {"", "0", "none", "off", "never"}
_HOURS = re.compile(r"(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


def _option(flag: str, metavar: str, text: str) -> Any:  # noqa: ANN401 - Typer's own type
    return typer.Option(flag, metavar=metavar, help=text)


FailAfter = Annotated[
    int | None, typer.Option("--fail-after", metavar="N", min=1, help="Failures in a row.")
]
RecoverAfter = Annotated[
    int | None, typer.Option("--recover-after", metavar="N", min=1, help="Successes in a row.")
]
MinDuration = Annotated[
    str | None, _option("--min-duration", "SPAN", "A shorter run fails; or none.")
]
MaxDuration = Annotated[
    str | None, _option("--max-duration", "SPAN", "A longer run fails, and one that never ends.")
]
OverlapPolicy = Annotated[
    Overlap | None, typer.Option("--overlap", help="A start while a run is still going.")
]
StatusFails = Annotated[
    bool | None,
    typer.Option("--fail-on-status/--ignore-status", help="What a run says of itself."),
]
Snooze = Annotated[
    str | None, _option("--snooze", "SPAN|TIME", "No alerts so long, or until then; or off.")
]
Maintenance = Annotated[
    list[str] | None,
    _option("--maintenance", "'CRON SPAN'", "'0 2 * * sun 2h'; repeatable; or none."),
]
Mute = Annotated[bool | None, typer.Option("--mute/--unmute", help="Tell nobody, until unmuted.")]
Repeat = Annotated[
    str | None, _option("--repeat", "SPAN", "Alert again so often while failing; or never.")
]
Gap = Annotated[str | None, _option("--gap", "SPAN", "No two alerts closer than this; or none.")]
Quiet = Annotated[
    str | None, _option("--quiet", "HH:MM-HH:MM", "Alerts wait for the end of this; or off.")
]
Mailed = Annotated[Every | None, typer.Option("--summary", help="A summary by e-mail.")]
MailedAt = Annotated[
    int | None,
    typer.Option("--summary-hour", metavar="HOUR", min=0, max=23, help="When it is mailed."),
]
Zone = Annotated[
    str | None,
    _option("--timezone", "ZONE", "Whose clock for the above; else as before, at first yours."),
]


def set_(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    fail_after: FailAfter = None,
    recover_after: RecoverAfter = None,
    min_duration: MinDuration = None,
    max_duration: MaxDuration = None,
    overlap: OverlapPolicy = None,
    status_fails: StatusFails = None,
    snooze: Snooze = None,
    maintenance: Maintenance = None,
    mute: Mute = None,
    repeat: Repeat = None,
    gap: Gap = None,
    quiet: Quiet = None,
    summary: Mailed = None,
    summary_hour: MailedAt = None,
    timezone: Zone = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Set what fails and recovers a tracker, and when it is silent."""
    wanted = _Wanted(timezone)
    wanted.plain("failures_to_fail", fail_after)
    wanted.plain("successes_to_recover", recover_after)
    wanted.plain("fail_on_status", status_fails)
    wanted.plain("overlap", overlap)
    wanted.plain("min_duration_ms", _ms(min_duration, "--min-duration"))
    wanted.plain("max_duration_ms", _ms(max_duration, "--max-duration"))
    wanted.plain("snoozed_until", None if snooze is None else snoozed_until(snooze))
    wanted.plain("maintenance", None if maintenance is None else wanted.windows(maintenance))
    wanted.under("alerting", "muted", mute)
    wanted.under("alerting", "repeat_s", _s(repeat, "--repeat"))
    wanted.under("alerting", "least_gap_s", _s(gap, "--gap"))
    wanted.quiet(quiet)
    wanted.summary(summary, summary_hour)
    _apply(tracker, wanted, as_json=as_json, profile=profile)


def transitions(
    tracker: TrackerName,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")
    ] = 20,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List how a tracker's state changed and why, newest first."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        found: list[Transition] = []
        cursor = None
        tracker_id = here.tracker(tracker).id
        while len(found) < limit:
            size = min(limit - len(found), LARGEST_PAGE)
            page = judging.transitions(here.api, tracker_id, limit=size, cursor=cursor)
            found += page.transitions
            cursor = page.next_cursor
            if cursor is None:
                break
    show_table(shown.transitions(found), form_of(as_json=as_json, as_csv=as_csv), found)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("set")(set_)
    app.command("transitions")(transitions)


def _apply(tracker: str, wanted: _Wanted, *, as_json: bool, profile: str | None) -> None:
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    change = wanted.change()
    if not change:
        raise UsageError("Nothing is to be set.", "telemhq tracker set --help")
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        if wanted.without_zone:
            change = wanted.in_the_zones_of(judging.rules(here.api, found.id).rules)
        changed = judging.change_rules(here.api, found.id, change)
    if as_json:
        show_json(changed)
        return
    say(f"{found.name} is judged by this now:", "")
    show_pairs(shown.rules(changed.rules, changed.schedule_in_words))


class _Wanted:
    """The change of rules that the options ask for; `timezone` is the one that was named."""

    def __init__(self, timezone: str | None) -> None:
        self.timezone = timezone
        self.without_zone: set[str] = set()
        """The parts that say hours of a day, and not whose: as before, where that was said."""
        self._change: dict[str, Any] = {}
        self._zone_was_used = False

    def change(self) -> dict[str, Any]:
        """Return the change. Raises UsageError for a zone that no option here has a use for."""
        if self.timezone and not self._zone_was_used:
            raise UsageError(
                "--timezone goes with --quiet, --maintenance or --summary.",
                "A schedule has a zone of its own: telemhq tracker schedule set --help",
            )
        return self._change

    def in_the_zones_of(self, before: Rules) -> dict[str, Any]:
        """Return the change, its hours by the clocks that were set before, else by the one here."""
        for part in self.without_zone:
            if not _has_hours(before, part):
                self.under(part, "timezone", self._zone())
        return self._change

    def plain(self, field: str, value: object) -> None:
        if value is not None:
            self._change[field] = value

    def under(self, part: str, field: str, value: object) -> None:
        if value is not None:
            self._change.setdefault(part, {})[field] = value

    def quiet(self, text: str | None) -> None:
        if text is None:
            return
        begin, end = quiet_hours(text)
        self.under("alerting", "quiet_from", begin)
        self.under("alerting", "quiet_until", end)
        if begin:
            self._hours_of("alerting")

    def summary(self, every: Every | None, hour: int | None) -> None:
        self.under("summary", "every", every)
        self.under("summary", "hour", hour)
        if hour is not None or every not in {None, Every.NEVER}:
            self._hours_of("summary")

    def windows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {**window(text), "timezone": self._zone()}
            for text in texts
            if text.strip().lower() not in _NOTHING
        ]

    def _hours_of(self, part: str) -> None:
        if self.timezone:
            self.under(part, "timezone", self._zone())
        else:
            self.without_zone.add(part)

    def _zone(self) -> str:
        self._zone_was_used = True
        if self.timezone:
            return self.timezone
        from telemhq_cli.commands import period  # noqa: PLC0415 - the ledger's rooms

        return period.zone_in_use(None).key


def _has_hours(rules: Rules, part: str) -> bool:
    """Tell whether it was said before whose clock a part of the rules goes by."""
    if part == "alerting":
        return bool(rules.alerting.quiet_from) or rules.alerting.timezone != Alerting().timezone
    return rules.summary.every is not Every.NEVER or rules.summary.timezone != Summary().timezone


def snoozed_until(text: str) -> str:
    """Return until when alerts wait, RFC 3339: after a span from now, or at a time; "" for off."""
    from telemhq_agents import clock  # noqa: PLC0415 - not needed for --help

    if text.strip().lower() in _NOTHING:
        return ""
    try:
        return clock.to_iso(clock.now_ms() + spans.milliseconds(text, "--snooze"))
    except (UsageError, ValueError, OverflowError):
        pass
    try:
        return clock.to_iso(clock.from_iso(text))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--snooze: {text!r} is neither a span nor a time.",
            "Give 2h, 1d, a time with its offset (2026-12-01T08:00:00+01:00), or off.",
        ) from error


def window(text: str) -> dict[str, Any]:
    """Read a maintenance window: a cron expression and, behind it, how long it lasts."""
    cron, _, length = text.strip().rpartition(" ")
    if not cron:
        raise UsageError(
            f"--maintenance: {text!r} lacks its length.",
            "Write when it begins and how long it lasts: '0 2 * * sun 2h'.",
        )
    return {"cron": cron.strip(), "length_s": spans.seconds(length, "--maintenance")}


def quiet_hours(text: str) -> tuple[str, str]:
    """Read 22:00-07:00; off is two empty times. Raises UsageError."""
    if text.strip().lower() in _NOTHING:
        return "", ""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"--quiet: {text!r} are no hours of a day.", "Write them as 22:00-07:00, or off."
        )
    return found[1].zfill(5), found[2].zfill(5)


def _ms(text: str | None, option: str) -> int | None:
    return None if text is None else spans.milliseconds(text, option)


def _s(text: str | None, option: str) -> int | None:
    return None if text is None else spans.seconds(text, option)
