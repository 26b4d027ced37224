"""Every command, and how one of them is run."""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from telemhq_agents.errors import UsageError
from telemhq_cli.commands.sparing import spare
from telemhq_cli.mending import on_a_whole_ledger
from telemhq_cli.render.output import note, say

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOMS: dict[str, tuple[str, ...]] = {
    "usage": ("usage",),
    "ping": ("ping",),
    "statusline": ("statusline",),
    "login": ("login", "logout", "whoami"),
    "tracker": ("tracker",),
    "assertion": ("assertion",),
    "webhook": ("webhook",),
    "mail": ("mail",),
    "status_page": ("status-page",),
    "metrics_key": ("metrics-key",),
    "team": ("team",),
    "key": ("key",),
    "plan": ("plan",),
    "agent": ("agent",),
    "codex": ("codex",),
    "claude": ("claude",),
    "server": ("server",),
    "prices": ("prices",),
    "ledger": ("ledger",),
    "privacy": ("privacy",),
    "config": ("config",),
    "doctor": ("doctor",),
}
"""The modules of this package and the commands in each, as `--help` lists them."""

_NOT_ONE_OF = re.compile(r"'(?P<given>.*)' is not one of (?P<known>'.*')")
_AT_LEAST = re.compile(r"greater than or equal to (?P<least>-?\d+)")
_NOUNS = {"by": "group"}
"""What an option's values are, where its name does not say it."""


def tree(word: str = "") -> typer.Typer:
    """Return the commands: all of them, or those that are with `word` in one module.

    A command needs only its own module; all of them together take longer than most do.
    """
    app = typer.Typer(
        name="telemhq",
        help="Know what your AI jobs and coding agents actually did.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_everything)
    wanted = [room for room, words in ROOMS.items() if word in words] or list(ROOMS)
    for room in wanted:
        module = import_module(f"telemhq_cli.commands.{room}")
        if hasattr(module, "add_to"):
            module.add_to(app)
        else:
            app.add_typer(module.app, name=room)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms

        say(f"telemhq {version('telemhq')}")
        raise typer.Exit


def _everything(
    shown: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    del shown


def run(arguments: Sequence[str]) -> int:
    """Run one command line. Raises what the command raises; its own mistakes as UsageError.

    A ledger that turns out to be damaged is replaced, and the command run once more: whatever it
    did before can be repeated.
    """
    return on_a_whole_ledger(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        command = get_command(tree(next(iter(arguments), "")))
        spare(command)
        code = command(args=list(arguments), prog_name="telemhq", standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a verb: its help
            note(*str(error).splitlines())
            return error.exit_code
        raise _as_usage_error(error) from error
    except typer.Abort:
        return 1
    return code if isinstance(code, int) else 0


def _as_usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "telemhq"
    message = getattr(error, "format_message", lambda: str(error))()
    parameter = getattr(error, "param", None)
    if parameter is not None:
        message = _in_our_words(parameter.name or "", parameter.opts[0], error) or message
    return UsageError(message, f"{path} --help")


def _in_our_words(name: str, option: str, error: typer.TyperException) -> str:
    """Say what Typer's own checks say, which speak of pydantic's; "" for what we don't know."""
    said = str(getattr(error, "message", ""))
    choice = _NOT_ONE_OF.search(said)
    if choice is not None:
        known = re.findall(r"'([^']*)'", choice["known"])
        near = get_close_matches(choice["given"], known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        noun = _NOUNS.get(name, name)
        return f"Unknown {noun} {choice['given']!r}: one of {', '.join(known)}{hint}"
    if "valid integer" in said:
        return f"{option} must be a whole number."
    if "valid number" in said:
        return f"{option} must be a number."
    least = _AT_LEAST.search(said)
    return f"{option} must be {least['least']} or more." if least else ""
