"""What the doctor found, for a person: by theme, the severity in front, the mending command below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.diagnosis.finding import WORST_FIRST, Severity, Theme
from telemhq_cli.render import labelled, screen
from telemhq_cli.render.voice import say
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_cli.diagnosis.finding import Finding

ROOM = 9
COLOURS = {
    Severity.OK: labelled.GREEN,
    Severity.NOTE: labelled.CYAN,
    Severity.WARNING: labelled.YELLOW,
    Severity.ERROR: labelled.RED,
}


def show(found: Sequence[Finding]) -> None:
    """Print findings, and how many there are of each severity."""
    colour, width = screen.has_colour(), screen.width()
    for theme in Theme:
        some = [one for one in found if one.theme is theme]
        if some:
            title = labelled.painted(theme.value, labelled.BOLD if colour else "")
            lines = [line for one in some for line in lines_of(one, width, colour=colour)]
            labelled.print_lines([title, *lines, ""])
    say(summary(found))


def lines_of(finding: Finding, width: int, *, colour: bool = False) -> list[str]:
    """Return a finding's lines."""
    return labelled.labelled(
        finding.severity.value,
        finding.message,
        finding.next_step,
        room=ROOM,
        width=width,
        colour=COLOURS[finding.severity] if colour else "",
    )


def summary(found: Sequence[Finding]) -> str:
    """Say how many findings there are of each severity that asks for something."""
    counts = {one: sum(each.severity is one for each in found) for one in WORST_FIRST}
    del counts[Severity.OK]
    told = [counted(count, severity.value) for severity, count in counts.items() if count]
    return f"{', '.join(told)}." if told else "All is well."
