"""Every command, and how one of them is run."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from telemhq_agents.errors import TelemhqError, UsageError
from telemhq_agents.nearest import did_you_mean, missed
from telemhq_cli.commands import grouping
from telemhq_cli.commands.sparing import spare
from telemhq_cli.mending import on_a_whole_ledger
from telemhq_cli.render import envelope, screen
from telemhq_cli.render.output import note, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOMS: dict[str, tuple[str, ...]] = {
    "setup": ("setup",),
    "usage": ("usage",),
    "top": ("top",),
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
    "completion": ("completion",),
}
"""The modules of this package and the commands in each, as `--help` lists them."""

HELP = "--help"
_NOT_ONE_OF = re.compile(r"'(?P<given>.*)' is not one of (?P<known>'.*')")
_NO_COMMAND = re.compile(r"No such command '(?P<name>.*?)'\.")
_AT_LEAST = re.compile(r"greater than or equal to (?P<least>-?\d+(\.\d+)?)")
_AT_MOST = re.compile(r"less than or equal to (?P<most>-?\d+(\.\d+)?)")
_NOUNS = {"by": "group", "of": "figure", "what": "part", "form": "format"}
"""What an option's values are, where its name does not say it."""


def tree(word: str = "") -> typer.Typer:
    """Return the commands: all of them, or those that are with `word` in one module.

    A command needs only its own module; all of them together take longer than most do.
    """
    app = _trunk()
    wanted = [room for room, words in ROOMS.items() if word in words] or list(ROOMS)
    for room in wanted:
        module = import_module(f"telemhq_cli.commands.{room}")
        if hasattr(module, "add_to"):
            module.add_to(app)
        else:
            app.add_typer(module.app, name=room)
    return app


def _trunk() -> typer.Typer:
    app = typer.Typer(
        name="telemhq",
        cls=grouping.Shelved,
        help="Know what your AI jobs and coding agents actually did.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_everything)
    return app


def command_of(word: str = "") -> Any:  # noqa: ANN401 - Typer's own
    """Return `tree(word)` as what parses a command line, with examples below each help text.

    For the help of the whole there is no need to load any command.
    """
    if word == HELP:
        return grouping.listing(get_command(_trunk()))
    return grouping.with_examples(get_command(tree(word)))


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


def words_of(command: Any, arguments: Iterable[str]) -> tuple[str, ...]:  # noqa: ANN401 - Typer's own
    """Return the words of the command that arguments name, as far as there is one."""
    words: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        below = getattr(command, "commands", None)
        if below is None or argument == envelope.END_OF_OPTIONS:
            break
        if argument in below:
            words.append(argument)
            command = below[argument]
        elif _takes_a_value(command, argument):
            next(waiting, None)
    return tuple(words)


def _takes_a_value(command: Any, option: str) -> bool:  # noqa: ANN401 - Typer's own
    return any(option in one.opts and not getattr(one, "is_flag", False) for one in command.params)


def _run(arguments: Sequence[str]) -> int:
    screen.forget()
    command = command_of(next(iter(arguments), ""))
    words = words_of(command, arguments)
    envelope.name(words)
    spare(command)
    try:
        return _invoked(command, arguments)
    except UsageError as error:
        error.next_step = error.next_step or shlex.join(("telemhq", *words, "--help"))
        raise


def _invoked(command: Any, arguments: Sequence[str]) -> int:  # noqa: ANN401 - Typer's own
    try:
        code = command(args=list(arguments), prog_name="telemhq", standalone_mode=False)
    except typer.TyperException as error:
        if _is(error, "NoArgsIsHelpError"):  # a group without a verb: its help
            note(*str(error).splitlines())
            return error.exit_code
        raise _as_usage_error(error) from error
    except typer.Abort as error:  # a question met the end of stdin, or Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise TelemhqError("Nothing was answered, and nothing was changed.") from error
    except SystemExit as left:  # Typer's own end where the reader went away: ours has its code
        if isinstance(left.__context__, BrokenPipeError):
            raise left.__context__ from None
        raise
    return code if isinstance(code, int) else 0


def _as_usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "telemhq"
    message = getattr(error, "format_message", lambda: str(error))()
    if context is not None:
        message = _not_there(context.command, error) or message
    parameter = getattr(error, "param", None)
    if parameter is not None:
        message = _in_our_words(parameter.name or "", parameter.opts[0], error) or message
    return UsageError(message, f"{path} --help")


def _not_there(command: Any, error: typer.TyperException) -> str:  # noqa: ANN401 - Typer's own
    """Say which option or command there is none of, and which may be meant; "" for other mistakes."""
    option = getattr(error, "option_name", None) if _is(error, "NoSuchOption") else None
    if option is not None:
        known = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
        return missed(f"There is no option {option}", option, known)
    wanted = _NO_COMMAND.match(str(getattr(error, "message", "")))
    if wanted is None:
        return ""
    below = getattr(command, "commands", {})
    return missed(f"There is no command {wanted['name']!r}", wanted["name"], below)


def _is(error: typer.TyperException, name: str) -> bool:
    return type(error).__name__ == name  # Typer keeps these classes to itself


def _in_our_words(name: str, option: str, error: typer.TyperException) -> str:
    """Say what Typer's own checks say, which speak of pydantic's; "" for what we don't know."""
    said = str(getattr(error, "message", ""))
    choice = _NOT_ONE_OF.search(said)
    if choice is not None:
        known = re.findall(r"'([^']*)'", choice["known"])
        hint = did_you_mean(choice["given"], known)
        noun = _NOUNS.get(name, name)
        return f"Unknown {noun} {choice['given']!r}: one of {', '.join(known)}{hint}"
    if "valid integer" in said:
        return f"{option} must be a whole number."
    if "valid number" in said:
        return f"{option} must be a number."
    least = _AT_LEAST.search(said)
    if least is not None:
        return f"{option} must be {least['least']} or more."
    most = _AT_MOST.search(said)
    return f"{option} must be {most['most']} or less." if most else ""
