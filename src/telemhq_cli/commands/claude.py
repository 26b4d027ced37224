"""`telemhq claude …`: Claude Code's hook and transcripts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from telemhq_agents import locations
from telemhq_agents.errors import UsageError
from telemhq_agents.usage import Source
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.commands.scanning import scan_now
from telemhq_cli.render.output import form_of, say, show_json
from telemhq_cli.render.voice import remark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from claude_code_hooks.install import Outcome

app = typer.Typer(no_args_is_help=True, help="Claude Code: its hook and its transcripts.")
InProject = Annotated[
    bool, typer.Option("--project", help="In this directory's .claude/settings.local.json.")
]
ForUser = Annotated[bool, typer.Option("--user", help="In your own settings (the default).")]
ForPlugin = Annotated[
    bool, typer.Option("--plugin", help="For the plugin, which has the hooks itself.")
]
WithTools = Annotated[
    bool,
    typer.Option("--tools/--no-tools", help="Count tools and permissions too, or turns only."),
]
UNKNOWN = (
    "No Claude Code was found, so the hook stands only on events that every version knows.",
    "Run it again once Claude Code is there, or name its version: --claude-version 2.1.328",
)


@app.command()
def install(  # noqa: PLR0917 - one argument an option
    project: InProject = False,
    user: ForUser = False,
    plugin: ForPlugin = False,
    tools: WithTools = True,
    statusline: Annotated[
        bool, typer.Option("--statusline", help="Also show today's usage in the status line.")
    ] = False,
    claude_version: Annotated[
        str, typer.Option(metavar="VERSION", help="Don't ask Claude Code which one it is.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the change as a diff; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add the hook to Claude Code's settings."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help
    from claude_code_hooks.events import events_for  # noqa: PLC0415 - same

    at_most_one(project=project, user=user, plugin=plugin)
    command = hook.command(locations.ours())
    if plugin:
        if statusline or claude_version or not tools:
            raise UsageError("--plugin goes with no other choice: the plugin has its hooks itself.")
        _link(command, as_json=as_json, dry_run=dry_run)
        return
    path = _target(project=project)
    version = _version(claude_version)
    if dry_run:
        events, line = events_for(version, tools=tools), _line(statusline=statusline)
        _show_change(path, hook.preview(path, command, events, line), as_json=as_json)
        return
    done = add_hook(path, version, tools=tools, statusline=statusline)
    if as_json:
        more = {"events": done.events, "claude_version": version or None}
        show_json(_told(path, done.outcome) | more | {"warnings": done.warnings})
        return
    _say_installed(path, done.outcome)
    remark(*done.warnings)


class Added(NamedTuple):
    """A hook that stands in a settings file, and what a person should know of it."""

    path: Path
    outcome: Outcome
    events: Sequence[str]
    warnings: list[str]


def add_hook(
    path: Path | None = None,
    version: str | None = None,
    *,
    tools: bool = True,
    statusline: bool = False,
) -> Added:
    """Add the hook to a settings file: the user's own, for the Claude Code that is here.

    Doing so twice changes nothing. Raises SettingsError where the file cannot be changed.
    """
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help
    from claude_code_hooks.events import events_for  # noqa: PLC0415 - same

    place = path or _target(project=False)
    known = _version("") if version is None else version
    events = events_for(known, tools=tools)
    command = hook.command(locations.ours())
    outcome = hook.install(place, command, events, _line(statusline=statusline))
    return Added(place, outcome, events, _warnings(known, outcome))


def _line(*, statusline: bool) -> str:
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help

    return hook.statusline_command(locations.ours()) if statusline else ""


@app.command()
def uninstall(
    project: InProject = False,
    user: ForUser = False,
    plugin: ForPlugin = False,
    as_json: AsJson = False,
) -> None:
    """Take the hook out of Claude Code's settings, and nothing else."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help

    at_most_one(project=project, user=user, plugin=plugin)
    if plugin:
        path, changed = hook.plugin_link(os.environ), hook.unlink_plugin(os.environ)
        if as_json:
            show_json({"path": path, "changed": changed})
        else:
            say(f"The plugin does nothing from now on; {path} is gone." if changed else _UNLINKED)
        return
    path = _target(project=project)
    outcome = hook.uninstall(path)
    if as_json:
        show_json(_told(path, outcome))
    elif outcome.changed:
        say(f"Took the hook out of {path}.")
    else:
        say(f"{path} holds no hook of ours.")


@app.command()
def status(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show where the hook is installed and when it last spoke."""
    from telemhq_cli.commands.hook_status import show  # noqa: PLC0415 - not needed for --help

    at_most_one(json=as_json, csv=as_csv)
    show(form_of(as_json=as_json, as_csv=as_csv))


@app.command()
def scan(as_json: AsJson = False) -> None:
    """Read what is new in Claude Code's transcripts; sends nothing."""
    scan_now((Source.CLAUDE,), as_json=as_json)


_UNLINKED = "The plugin was not told whom to tell; nothing changed."


def _link(command: str, *, as_json: bool, dry_run: bool) -> None:
    """Tell the plugin where this telemhq is."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help

    path = hook.plugin_link(os.environ)
    if dry_run:
        raise UsageError(f"--plugin writes one file, {path}; there is no diff to show.")
    changed = hook.link_plugin(os.environ, command)
    if as_json:
        show_json({"path": path, "changed": changed})
    else:
        say(f"Told the plugin where telemhq is: {path}" if changed else f"{path} is up to date.")


def _show_change(path: Path, diff: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"path": path, "changed": bool(diff), "diff": diff})
    else:
        say(*(diff.splitlines() or [f"{path} holds the hook already."]))


def _say_installed(path: Path, outcome: Outcome) -> None:
    if not outcome.changed:
        say(f"{path} holds the hook already.")
        return
    if outcome.was_there:
        say(f"Brought the hook in {path} up to date.")
        return
    say(f"Added the hook to {path}. Sessions that start from now on run it.")
    if outcome.backup is not None:
        say(f"The file as it was: {outcome.backup}")


def _target(*, project: bool) -> Path:
    from claude_code_hooks.install import Scope, target  # noqa: PLC0415 - not needed for --help

    return target(Scope.PROJECT if project else Scope.USER, os.environ, Path.cwd())


def _version(named: str) -> str:
    """Return the version of Claude Code: the one named, else the one installed, else ""."""
    from claude_code_hooks import events, program  # noqa: PLC0415 - not needed for --help

    if named and not events.parsed(named):
        raise UsageError(f"--claude-version {named!r} is no version; it looks like 2.1.328.")
    found = None if named else program.find(os.environ)
    return named or (found.version if found else "")


def _warnings(version: str, outcome: Outcome) -> list[str]:
    """Return what a person should know: the hook may not run, or not tell everything."""
    from claude_code_hooks import install as hook  # noqa: PLC0415 - not needed for --help
    from claude_code_hooks import silence  # noqa: PLC0415 - same

    found = [] if version else [*UNKNOWN]
    if outcome.statusline_kept:
        found.append("You have a status line of your own, which was left as it is.")
    return found + silence.why_silent(
        hook.settings_that_hold(os.environ, Path.cwd()), locations.claude_managed_settings()
    )


def _told(path: Path, outcome: Outcome) -> dict[str, object]:
    return {"path": path, "changed": outcome.changed, "backup": outcome.backup}
