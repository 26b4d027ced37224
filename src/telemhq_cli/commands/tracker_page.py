"""`telemhq tracker show`: one tracker on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telemhq_agents import clock
from telemhq_agents.contract.judging import Transition
from telemhq_agents.contract.resources import Run, Tracker
from telemhq_agents.contract.rules import Rules
from telemhq_agents.errors import NoSuchRouteError
from telemhq_cli.commands import session
from telemhq_cli.commands.options import (  # noqa: TC001 - Typer reads annotations
    AsJson,
    ProfileName,
    TrackerName,
    Width,
)
from telemhq_cli.render import judging as rendered
from telemhq_cli.render import nouns, screen, tracker_page
from telemhq_cli.render.output import say, show_json, show_pairs
from telemhq_cli.render.voice import warn

if TYPE_CHECKING:
    import typer

    from telemhq_cli.commands.session import Session

SHOWN_CHANGES = 5
LOOKED_AT = 50
"""Latest runs among which an assertion's last verdict is looked for."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is shown of a tracker."""

    tracker: Tracker
    rules: Rules
    transitions: list[Transition]
    runs: list[Run]


def show(
    tracker: TrackerName, as_json: AsJson = False, width: Width = None, profile: ProfileName = None
) -> None:
    """Show how a tracker does: state, schedule, verdicts, changes."""
    del width
    with session.opened(profile) as here:
        found = here.tracker(tracker)
        try:
            known = _asked(here, found)
        except NoSuchRouteError as error:  # a tracker can be shown without
            warn(error.message)
            _show_alone(found, as_json=as_json)
            return
    _show(known, as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def _asked(here: Session, tracker: Tracker) -> _Known:
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    latest = judging.transitions(here.api, tracker.id, limit=SHOWN_CHANGES)
    rules = judging.rules(here.api, tracker.id).rules
    runs = here.runs(tracker, LOOKED_AT) if rules.assertions else []
    return _Known(tracker, rules, latest.transitions, runs)


def _show(known: _Known, *, as_json: bool) -> None:
    tracker, rules = known.tracker, known.rules
    verdicts = tracker_page.last_verdicts(rules.assertions, known.runs)
    if as_json:
        show_json(tracker_page.document(tracker, rules, known.transitions, verdicts))
        return
    now_ms, wide = clock.now_ms(), screen.width()
    state = tracker_page.state_in_words(tracker, rules, now_ms)
    due = tracker_page.due_in_words(tracker, now_ms)
    show_pairs([*nouns.tracker(tracker, state, due), *rendered.rules(rules, tracker.schedule)])
    for lines in (
        tracker_page.assertion_lines(verdicts, wide),
        tracker_page.transition_lines(known.transitions, wide),
    ):
        if lines:
            say("", *lines)
    say("", f"Next: {tracker_page.next_step(tracker)}")


def _show_alone(tracker: Tracker, *, as_json: bool) -> None:
    if as_json:
        show_json(tracker)
    else:
        show_pairs(nouns.tracker(tracker))
