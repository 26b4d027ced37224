"""The one line of `telemhq statusline`. Pure but for what shows it; imports next to nothing."""

from __future__ import annotations

import sys

from telemhq_cli.render.voice import visible
from telemhq_cli.render.words import compact, cost

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from telemhq_agents.ledger.glance import Day, Sums

LONGEST_NAME = 24
GAP = " · "
NOTHING_READ = "telemhq: no usage read yet"
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


def line(model: str, session: Sums | None, today: Sums | None) -> str:
    """Return the line: the model, what this session used, what was used today.

    `session` is None where nobody told which one it is, `today` where there is nothing to read.
    """
    parts = [visible(model)[:LONGEST_NAME]] if model else []
    if today is None:
        return GAP.join([*parts, NOTHING_READ])
    if session is not None:
        parts.append(f"session {_used(session)}")
    return GAP.join([*parts, f"today {_used(today)}"])


def prompt(day: Day | None, failing: int) -> str:
    """Return a prompt's part in ASCII: today's cost, runs that failed, trackers that fail.

    Zeros are left out; where nothing was used and nothing fails there is nothing to say.
    """
    parts = []
    if day is not None:
        tokens, cost_nano, unpriced, failures = day
        parts += [cost(cost_nano, unpriced)] if tokens else []
        parts += [f"{failures} failed"] if failures else []
    trackers = "tracker" if failing == 1 else "trackers"
    parts += [f"{failing} {trackers} failing"] if failing else []
    return ", ".join(parts)


def coloured(text: str) -> str:
    """Return the line dimmed, so that it stays in the background."""
    return f"{DIM}{text}{PLAIN}"


def show(text: str) -> None:
    """Print the line; a reader that has gone is no error."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        sys.stdout = None


def show_bare(text: str) -> None:
    """Print what there is to say, and nothing where there is nothing."""
    if text:
        show(text)


def _used(sums: Sums) -> str:
    tokens, cost_nano, unpriced = sums
    return f"{compact(tokens)} {cost(cost_nano, unpriced)}"
