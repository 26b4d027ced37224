"""How each step of a setup went, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.render import labelled, screen
from telemhq_cli.render.voice import note, say
from telemhq_cli.render.words import counted
from telemhq_cli.setting_up import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.setting_up import Step

ROOM = 12
COLOURS = {
    State.DONE: labelled.GREEN,
    State.ALREADY: labelled.GREEN,
    State.SKIPPED: labelled.CYAN,
    State.FAILED: labelled.RED,
}


def show_step(step: Step) -> None:
    """Print how a step went."""
    labelled.print_lines(
        labelled.labelled(
            step.state.value,
            step.message,
            step.next_step,
            room=ROOM,
            width=screen.width(),
            colour=COLOURS[step.state] if screen.has_colour() else "",
        )
    )


def show_warnings(step: Step) -> None:
    """Print what a step warns of, below it, on stderr."""
    indent = " " * (len(labelled.INDENT) + ROOM)
    for warning in step.warnings:
        folded = labelled.folded(warning, screen.width() - len(indent))
        note(*(f"{indent}{line}" for line in folded))


def show_end(taken: Sequence[Step], next_step: str) -> None:
    """Print what to do next."""
    failed = sum(step.state is State.FAILED for step in taken)
    if failed:
        say("", f"{counted(failed, 'step')} failed. Mended, run it again: telemhq setup")
    say("", f"Next: {next_step}")
