"""Options that nobody gave are not checked: what would check them takes as long as a report.

Typer builds a checker out of pydantic for each option, also where all it is ever asked is None.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperOption

if TYPE_CHECKING:
    from typer import Context

    Parameter = TyperOption | TyperArgument


class WhenGiven:
    """Stands where Typer keeps the checker of a parameter, and gets that one for a value alone."""

    def __init__(self, param: Parameter) -> None:
        self._checker = param.get_runtime_param

    def coerce(self, value: object, param: Parameter, ctx: Context) -> object:
        """Return what the command is handed for a value, as Typer's own checker does."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        return self._checker().coerce(value, param=param, ctx=ctx)

    def get(self) -> WhenGiven:
        """Return this: what the parameter asks for is a function."""
        return self


def spare(command: Any) -> None:  # noqa: ANN401 - Typer's class of all commands is its own
    """Let a command, and all below it, check only what was given."""
    # Not `params`: the option --help is added to those when they are asked for.
    vars(command)["get_params"] = partial(_spared, command.get_params)
    for below in getattr(command, "commands", {}).values():
        spare(below)


def _spared(get_params: Any, context: Context) -> list[Any]:  # noqa: ANN401 - same
    params: list[Any] = get_params(context)
    for param in params:
        if isinstance(param, TyperOption | TyperArgument) and not _is_spared(param):
            vars(param)["get_runtime_param"] = WhenGiven(param).get
    return params


def _is_spared(param: Parameter) -> bool:
    return "get_runtime_param" in vars(param)
