"""`telemhq claude …`: Claude Code's hook and transcripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telemhq_agents import locations
from telemhq_agents.usage import Source
from telemhq_cli.commands.options import AsJson, at_most_one
from telemhq_cli.commands.scanning import scan_now
from telemhq_cli.render.output import say, show_json

if TYPE_CHECKING:
    from claude_code_hooks.install import Outcome

app = typer.Typer(no_args_is_help=True, help="Claude Code: its hook and its transcripts.")
InProject = Annotated[
    bool, typer.Option("--project", help="In this directory's .claude/settings.local.json.")
]
ForUser = Annotated[bool, typer.Option("--user", help="In your own settings (the default).")]


@app.command()
def install(
    project: InProject = False,
    user: ForUser = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the change as a diff; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add the hook to Claude Code's settings."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help

    path = _target(project=project, user=user)
    command = hook.command(locations.ours())
    events = hook.events_for(_installed_version())
    if dry_run:
        diff = hook.preview(path, command, events)
        if as_json:
            show_json({"path": path, "changed": bool(diff), "diff": diff})
        else:
            say(*(diff.splitlines() or [f"{path} holds the hook already."]))
        return
    outcome = hook.install(path, command, events)
    if as_json:
        show_json(_told(path, outcome))
    elif outcome.changed:
        say(f"Added the hook to {path}. Sessions that start from now on run it.")
        if outcome.backup is not None:
            say(f"The file as it was: {outcome.backup}")
    else:
        say(f"{path} holds the hook already.")


@app.command()
def uninstall(project: InProject = False, user: ForUser = False, as_json: AsJson = False) -> None:
    """Take the hook out of Claude Code's settings, and nothing else."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help

    path = _target(project=project, user=user)
    outcome = hook.uninstall(path)
    if as_json:
        show_json(_told(path, outcome))
    elif outcome.changed:
        say(f"Took the hook out of {path}.")
    else:
        say(f"{path} holds no hook of ours.")


@app.command()
def scan(as_json: AsJson = False) -> None:
    """Read what is new in Claude Code's transcripts; sends nothing."""
    scan_now((Source.CLAUDE,), as_json=as_json)


def _target(*, project: bool, user: bool) -> Path:
    from claude_code_hooks.install import Scope, target  # noqa: PLC0415 - not needed for --help

    at_most_one(project=project, user=user)
    return target(Scope.PROJECT if project else Scope.USER, os.environ, Path.cwd())


def _installed_version() -> str:
    """Return what `claude --version` says, "" where there is no Claude Code to ask."""
    import re  # noqa: PLC0415 - not needed for --help
    import subprocess  # noqa: PLC0415 - same

    try:
        done = subprocess.run(
            ["claude", "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    found = re.match(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else ""


def _told(path: Path, outcome: Outcome) -> dict[str, object]:
    return {"path": path, "changed": outcome.changed, "backup": outcome.backup}
