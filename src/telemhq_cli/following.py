"""`telemhq agent run`, from its plan on. The service starts here, without the command line's weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import locations
from telemhq_agents.errors import TelemhqError
from telemhq_cli.render.voice import note, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemhq_cli.agent import Pass, Plan


def run() -> int:
    """Follow everything there is until stopped; return the exit code."""
    from telemhq_cli.agent import Plan  # noqa: PLC0415 - SQLite

    follow(Plan())
    return 0


def follow(plan: Plan) -> None:
    """Run the loop with this plan until it is stopped. Raises TelemhqError when another one runs."""
    from telemhq_cli import loop, status  # noqa: PLC0415 - SQLite and watchdog

    names = " and ".join(source.value for source in plan.sources)
    if not loop.run(plan, lambda: note(f"Following {names}; Ctrl-C ends it."), _note_problems()):
        pid = status.read(locations.ours()).get("pid", "unknown")
        raise TelemhqError(f"An agent runs already (process {pid}).", "telemhq agent status")


def _note_problems() -> Callable[[Pass], None]:
    last: list[str] = []

    def said(done: Pass) -> None:
        new = [problem for problem in done.problems if problem not in last]
        last[:] = done.problems
        for problem in new:
            warn(problem)

    return said
