"""`telemhq` alone: on a first run what to do next, later how things stand. Reads no log, asks nobody.

It comes here without Typer, and imports next to nothing: it is the first thing a person sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import clock, locations
from telemhq_cli.render.voice import say
from telemhq_cli.render.words import compact, cost, counted

if TYPE_CHECKING:
    from telemhq_agents.locations import Locations

ROOM = 9


def run() -> int:
    """Say where this person stands; return 0."""
    ours = locations.ours()
    is_new = not any(one.exists() for one in (ours.ledger, ours.credentials, ours.settings))
    say(*(_first() if is_new else _later(ours)))
    return 0


def _first() -> list[str]:
    from telemhq_cli import found_here  # noqa: PLC0415 - counts the logs there are

    found = ", ".join(found_here.in_words()) or "no logs of coding agents yet"
    return [
        f"Found here: {found}.",
        "  telemhq usage             what they used and cost, read on this machine alone",
        "  telemhq setup             asks: a server or none, hooks, the background agent",
        "  telemhq ping NAME -- CMD  run a job, and tell a tracker how it went",
        "  telemhq --help            all the rest; telemhq doctor tells what is amiss",
    ]


def _later(ours: Locations) -> list[str]:
    told = [("Today", _today()), ("Agent", _agent(ours)), *_troubles(ours)]
    return [*(f"{name:<{ROOM}}{what}" for name, what in told), "", "telemhq --help lists all."]


def _today() -> str:
    from telemhq_agents.ledger.glance import glance  # noqa: PLC0415 - SQLite
    from telemhq_agents.ledger_file import ledger_file  # noqa: PLC0415 - same
    from telemhq_cli.statusline import midnight_ms  # noqa: PLC0415 - same

    found = glance(ledger_file(), "", midnight_ms(clock.now_ms()))
    if found is None:
        return "nothing was read so far (telemhq usage)"
    tokens, cost_nano, unpriced = found[1]
    return f"{cost(cost_nano, unpriced)}, {compact(tokens)} tokens (telemhq usage)"


def _agent(ours: Locations) -> str:
    from telemhq_cli import status  # noqa: PLC0415 - not on a first run

    if not status.seems_running(ours):  # one second less than to be sure of it
        return "does not run (telemhq agent install)"
    problems = status.read(ours).get("last_pass", {}).get("problems", [])
    return f"runs, but: {problems[0]}" if problems else "runs"


def _troubles(ours: Locations) -> list[tuple[str, str]]:
    """Return what fails or was refused, as far as this machine knows without asking."""
    from telemhq_agents import failing  # noqa: PLC0415 - not on a first run
    from telemhq_agents.ledger.waiting import waiting  # noqa: PLC0415 - same

    known = failing.known(clock.now_ms())
    counts = waiting(ours.ledger) or {}
    refused = counts.get("parked", 0) + counts.get("uncertain", 0)
    return [
        *([("Failing", f"{counted(known, 'tracker')} (telemhq tracker list)")] if known else []),
        *([("Refused", f"{counted(refused, 'ping')} (telemhq agent outbox)")] if refused else []),
    ]
