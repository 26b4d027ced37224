"""`telemhq tracker runs`: what a tracker received, and what it receives from now on."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents.errors import UsageError
from telemhq_cli.commands import session
from telemhq_cli.commands.options import (
    AsCsv,
    AsJson,
    ProfileName,
    TrackerName,
    Width,
    at_most_one,
)
from telemhq_cli.commands.tracker_chart import refuse_unknown_project
from telemhq_cli.commands.watching import LEAST_S, MOST_S
from telemhq_cli.render import nouns, screen
from telemhq_cli.render.output import form_of, say, say_now, show_json_line, show_table
from telemhq_cli.render.voice import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.contract.resources import Run, RunPage, Tracker
    from telemhq_cli.commands.session import Session

INTERRUPTED = 130
EVERY_S = 2.0
MOST_LOOKED_AT = 10_000
USUAL_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Only:
    """Which runs are shown: all, or those of a project, or those that failed."""

    project: str | None = None
    failed: bool = False

    def lets(self, run: Run) -> bool:
        """Tell whether a run is shown."""
        if self.project is not None and run.project != self.project:
            return False
        return not self.failed or has_failed(run)

    @property
    def is_all(self) -> bool:
        """Whether no run is left out."""
        return self.project is None and not self.failed

    def words(self) -> str:
        """Say which runs these are."""
        failed = "failed run" if self.failed else "run"
        return failed if self.project is None else f"{failed} of {self.project or 'no project'}"


def has_failed(run: Run) -> bool:
    """Tell whether a run says that it failed, or was judged so."""
    return run.failed or run.outcome == "failed"


def runs(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")
    ] = USUAL_LIMIT,
    project: Annotated[
        str | None, typer.Option("--project", metavar="NAME", help="Only those of this project.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with new ones as they come; Ctrl-C ends it.")
    ] = False,
    every: Annotated[
        float,
        typer.Option(
            "--every", metavar="SECONDS", min=LEAST_S, max=MOST_S, help="How often to look."
        ),
    ] = EVERY_S,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    width: Width = None,
    profile: ProfileName = None,
) -> None:
    """List what a tracker received, newest first, or follow it.

    Following, the newest is last, and `--json` prints an object a line.
    """
    del width
    at_most_one(json=as_json, csv=as_csv)
    at_most_one(csv=as_csv, follow=follow)
    only = Only(project, failed)
    if follow:
        _follow(tracker, only, limit, every, as_json=as_json, profile=profile)
        return
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        listed = list(islice(latest(here, found, only, limit), limit))
        if project is not None and not listed:
            refuse_unknown_project(here, found, project)
    table = nouns.runs(listed, f"No {only.words()} yet.")
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), listed)


def latest(here: Session, tracker: Tracker, only: Only, wanted: int) -> Iterator[Run]:
    """Yield runs newest first; looking for few of them ends somewhere, and says where."""
    cursor, looked_at = None, 0
    size = min(wanted, session.LARGEST_PAGE) if only.is_all else session.LARGEST_PAGE
    while True:
        page = here.api.runs(tracker.id, limit=size, cursor=cursor)
        yield from filter(only.lets, page.runs)
        cursor, looked_at = page.next_cursor, looked_at + len(page.runs)
        if cursor is None:
            return
        if looked_at >= MOST_LOOKED_AT and not only.is_all:
            warn(f"only the latest {looked_at:,} runs were looked at.")
            return


def _follow(
    name: str, only: Only, limit: int, every_s: float, *, as_json: bool, profile: str | None
) -> None:
    from telemhq_cli.run_tail import RunTail, follow  # noqa: PLC0415 - not needed for --help

    try:
        with session.opened(profile) as here:
            tracker = here.tracker(name)

            def pages(size: int, cursor: str | None) -> RunPage:
                return here.api.runs(tracker.id, limit=size, cursor=cursor)

            def show(run: Run) -> None:
                if only.lets(run):
                    _show(run, as_json=as_json)

            tail = RunTail(pages)
            tail.begin()
            first = _show_first(here, tracker, only, limit, as_json=as_json)
            if only.project is not None and not first:
                _warn_of_unknown(here, tracker, only.project)
            tail.know(first)
            follow(tail, show, warn, sleep, every_s)
    except KeyboardInterrupt:
        if screen.is_terminal():
            say("")  # the terminal has written ^C: the prompt belongs below it
        raise typer.Exit(INTERRUPTED) from None


def _warn_of_unknown(here: Session, tracker: Tracker, project: str) -> None:
    """Tell that no run names a project: it may be a slip, or a project that has yet to begin."""
    try:
        refuse_unknown_project(here, tracker, project)
    except UsageError as error:
        warn(error.message)


def _show_first(
    here: Session, tracker: Tracker, only: Only, limit: int, *, as_json: bool
) -> list[Run]:
    listed = list(islice(latest(here, tracker, only, limit), limit))
    if not as_json:
        say(nouns.run_heading(screen.width()))
        sys.stdout.flush()
    for run in reversed(listed):
        _show(run, as_json=as_json)
    return listed


def _show(run: Run, *, as_json: bool) -> None:
    if as_json:
        show_json_line(run)
    else:
        say_now(nouns.run_line(run, screen.width(), failed=has_failed(run)))
