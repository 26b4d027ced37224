"""How `telemhq --help` lists the commands: by what they are for. Plain text; rich takes 60 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

from telemhq_cli.commands import examples
from telemhq_cli.completion import known

if TYPE_CHECKING:
    from collections.abc import Mapping

SHELVES: Mapping[str, tuple[str, ...]] = {
    "Begin": ("setup", "login", "logout", "whoami", "doctor"),
    "Reports": ("usage", "top", "statusline"),
    "Recording": ("ping", "agent", "codex", "claude"),
    "Trackers and alerts": (
        "tracker",
        "assertion",
        "webhook",
        "mail",
        "status-page",
        "metrics-key",
    ),
    "People": ("team", "key", "plan"),
    "This machine": ("config", "privacy", "prices", "ledger", "completion"),
    "Server": ("server",),
}
"""Every command, once."""


_AROUND = 4
"""Columns before a name and after it."""


class Shelved(TyperGroup):
    """All the commands, each on its shelf."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own
        """Write a list for each shelf; all of them as wide as the longest name asks for."""
        width = max(map(len, self.commands), default=0)
        limit = formatter.width - width - _AROUND
        for title, words in SHELVES.items():
            known = [(word, self.commands[word]) for word in words if word in self.commands]
            rows = [(word.ljust(width), one.get_short_help_str(limit)) for word, one in known]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        del ctx


def listing(group: Any) -> Any:  # noqa: ANN401 - Typer's own
    """Return a group that can list all commands there are, and run none: no module is loaded."""
    group.commands = {
        name: TyperCommand(name, help=one["help"])
        for name, one in known.commands()["commands"].items()
    }
    return with_examples(group)


def with_examples(command: Any, words: str = "") -> Any:  # noqa: ANN401 - Typer's own
    """Return a command that shows its examples below its help, as do all that are under it."""
    shown = examples.shown(words)
    if shown:
        command.epilog = f"\b\n{shown}"
    for name, below in getattr(command, "commands", {}).items():
        with_examples(below, f"{words} {name}".strip())
    return command
