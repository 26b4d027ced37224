"""`telemhq agent install | uninstall | logs`: the agent as a service of this user."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents import locations
from telemhq_cli.commands.options import AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.render.output import note, say, say_now, show_json, show_json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.service.definition import Definition
    from telemhq_agents.service.installing import Installed

FOLLOW_S = 0.5


def install(as_json: AsJson = False) -> None:
    """Start the agent, now and at every login, as a service.

    Writes a service file for you alone; doing so twice changes nothing.
    """
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - not for --help

    wanted = choosing.choose(installing.run)
    by_hand = _runs_by_hand(wanted)
    done = installing.install(wanted, installing.run)
    if as_json:
        show_json(_told(wanted, done))
    else:
        say(*_in_words(wanted, done))
    if done.by_hand:
        note(
            f"telemhq: {wanted.manager.value} does not answer here; where it does, run:",
            *(f"  {command}" for command in done.by_hand),
            "Without it: telemhq agent run",
        )
    if by_hand:
        note("telemhq: an agent that you started runs already; the service takes over when it ends")
    if not wanted.is_proven:
        note(
            f"telemhq: the agent with {wanted.manager.value} is written, but not yet run there;"
            " please tell us how it goes"
        )


def _runs_by_hand(wanted: Definition) -> bool:
    """Tell whether an agent runs that no service manager keeps."""
    from telemhq_agents.service import installing  # noqa: PLC0415 - not for --help
    from telemhq_cli import status  # noqa: PLC0415 - same

    runs = status.is_running(locations.ours())
    return runs and not installing.standing(wanted, installing.run).is_active


def uninstall(as_json: AsJson = False) -> None:
    """Stop the service and remove what install wrote.

    The ledger, the log and the login stay.
    """
    from telemhq_agents.service import choosing, installing  # noqa: PLC0415 - not for --help

    wanted = choosing.choose(installing.run)
    changed = installing.uninstall(wanted, installing.run)
    if as_json:
        show_json({"manager": wanted.manager.value, "path": wanted.path, "changed": changed})
    elif changed:
        say(f"Removed {wanted.path}. The agent runs no more by itself.")
    else:
        say(f"{wanted.path} is not there; nothing was changed.")


def logs(
    count: Annotated[
        int, typer.Option("--lines", "-n", metavar="COUNT", min=0, help="How many, the last ones.")
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as lines are added, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the agent wrote into its log."""
    from telemhq_cli import journal  # noqa: PLC0415 - not needed for --help

    path = locations.ours().agent_log
    later = journal.added(path) if follow else None
    lines = journal.last_lines(path, count)
    if later is not None:
        _follow(lines, later, as_json=as_json)
    elif as_json:
        show_json([_line(line) for line in lines])
    elif lines:
        say(*lines)
    elif count:
        note(f"The agent wrote nothing into {path} yet. Next: telemhq agent status")


def _follow(first: list[str], later: Iterator[list[str]], *, as_json: bool) -> None:
    from threading import Event  # noqa: PLC0415 - not needed for --help

    pause = Event()
    for lines in chain([first], later):
        if as_json:
            for line in lines:
                show_json_line(_line(line))
        else:
            say_now(*lines)
        pause.wait(FOLLOW_S)


def _line(line: str) -> dict[str, str]:
    at, _, message = line.partition(" ")
    return {"at": at, "message": message}


def _in_words(wanted: Definition, done: Installed) -> list[str]:
    wrote = "Wrote" if done.changed else "Unchanged:"
    runs = "The agent runs, and starts by itself from now on. Next: telemhq agent status"
    return [f"{wrote} {wanted.path}", *([runs] if done.started else [])]


def _told(wanted: Definition, done: Installed) -> dict[str, object]:
    return {
        "manager": wanted.manager.value,
        "path": wanted.path,
        "changed": done.changed,
        "started": done.started,
        "by_hand": list(done.by_hand),
        "is_proven": wanted.is_proven,
    }
