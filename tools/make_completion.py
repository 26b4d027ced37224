"""Writes what completion knows of every command: `python -m tools.make_completion`.

Pressing Tab must not wait for Typer, let alone for the modules of all commands: what they take is
read from them here and shipped as one file. A test fails when that is out of date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from telemhq_agents import settings
from telemhq_agents.contract.amounts import AMOUNT_FIELDS
from telemhq_agents.contract.usage_report import GROUPS
from telemhq_cli.commands.assertion import OPERATORS
from telemhq_cli.commands.tree import command_of
from telemhq_cli.completion import known
from telemhq_cli.wrap import command_line

FILE = Path(known.FILE)
FREE = ""
"""What only its user knows: a new name, a number, a secret."""

WHEN = ["today", "yesterday", "7d", "24h", "monday"]
TRACKERS = {"TRACKER", "[TRACKER]", "TRACKER...", "[TRACKER]...", "TRACKER|CRON"}
KINDS: dict[tuple[str, str], str | list[str]] = {
    ("field", "FIELD"): "fields",
    ("field", "PATH"): "fields",
    ("path", "PATH"): "fields",
    ("member", "EMAIL"): "members",
    ("project", "NAME"): "projects",
    ("model", "NAME"): "models",
    ("model", "MODEL"): "models",
    ("tracker", "NAME|ID"): "trackers",
    ("account", "NAME|ID"): "teams",
    ("team", "NAME|ID"): "teams",
    ("profile", "NAME"): "profiles",
    ("timezone", "ZONE"): "zones",
    ("session_id", "ID"): "sessions",
    ("session", "ID"): "sessions",
    ("explain", "SESSION"): "sessions",
    ("key", "KEY"): list(settings.KEYS),
    ("by", "GROUP"): list(GROUPS),
    ("sort", "FIGURE|GROUP"): [*AMOUNT_FIELDS, *GROUPS],
    ("operator", "OPERATOR"): [name for name in OPERATORS if name.isalpha()],
    ("name", "PLAN"): ["free", "pro", "team", "unlimited"],
    ("since", "WHEN"): WHEN,
    ("until", "WHEN"): WHEN,
    ("coalesce", "1m|3m|5m|15m|off"): ["1m", "3m", "5m", "15m", "off"],
    ("file", "FILE"): "files",
    ("file", "FILE|-"): "files",
    ("output", "FILE"): "files",
    ("origin", "FILE|URL"): "files",
}
"""What completes a value, by the parameter's name and metavar."""

FREE_ONES = {
    *(
        ("account", "ACCOUNT"),
        ("assertion", "ID|PATH"),
        ("assertion", "[ID | PATH OPERATOR VALUE]"),
    ),
    *(("cache_write", "USD"), ("cache_write_1h", "USD"), ("cached", "USD"), ("input_", "USD")),
    *(("output", "USD"), ("claude_version", "VERSION"), ("count", ""), ("count", "COUNT")),
    *(("cron", "CRON"), ("database", "URL"), ("delivery_id", "ID"), ("drop", "ID")),
    *(("email", "EMAIL"), ("every", "SECONDS"), ("every", "SPAN"), ("fail_after", "N")),
    *(("gap", "SPAN"), ("grace", "SPAN"), ("host", "ADDRESS"), ("interval", "SECONDS")),
    *(("key_id", "ID"), ("limit", ""), ("limit", "N"), ("link", "LINK"), ("name", "NAME")),
    *(("maintenance", "'CRON SPAN'"), ("max_duration", "SPAN"), ("min_duration", "SPAN")),
    *(("page", "TITLE|ID"), ("port", "NUMBER"), ("provider", "NAME"), ("quiet", "HH:MM-HH:MM")),
    *(("recover_after", "N"), ("repeat", "SPAN"), ("runs", ""), ("server", "URL")),
    *(
        ("since", "DATE"),
        ("since", "DATE|TIME"),
        ("snooze", "SPAN|TIME"),
        ("source", "FROM"),
        ("summary_hour", "HOUR"),
    ),
    *(("target", "TO"), ("title", "TITLE"), ("top", "N"), ("url", "URL"), ("value", "VALUE")),
    *(("values", "VALUE..."), ("which", "[URL|ID]"), ("width", "COLUMNS"), ("window", "RUNS")),
    ("workers", "NUMBER"),
}
"""What only its user knows, or the server alone: whoever adds an option decides where it stands."""

OF_COMMANDS: dict[str, dict[str, str]] = {
    "team project": {"name": "projects"},
    "prices list": {"model": "models"},
}
"""The same, where a name alone does not say it."""

OF_PING = {
    "--project": "projects",
    "--model": "models",
    "--payload": "files",
    "--profile": "profiles",
}


def node(command: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - Typer vendors Click's types
    """Return a command as completion reads it."""
    if path == "ping":
        return ping()
    found: dict[str, Any] = {"help": first_line(command.help or "")}
    options = [option(one, path) for one in options_of(command)]
    arguments = [argument(one, path) for one in command.params if is_argument(one)]
    below = {
        name: node(one, f"{path} {name}".strip())
        for name, one in getattr(command, "commands", {}).items()
        if not one.hidden
    }
    parts = {"commands": below, "options": options, "arguments": arguments}
    return found | {name: part for name, part in parts.items() if part}


def options_of(command: Any) -> list[Any]:  # noqa: ANN401 - same
    context = command.context_class(command, info_name="telemhq")
    return [one for one in command.get_params(context) if not is_argument(one) and not one.hidden]


def option(one: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - same
    found: dict[str, Any] = {
        "names": [*one.opts, *one.secondary_opts],
        "help": first_line(one.help or ""),
    }
    found |= {"is_many": True} if one.multiple else {}
    return found if one.is_flag else found | {"kind": kind_of(one, path)}


def argument(one: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - same
    return {"kind": kind_of(one, path)} | ({"is_many": True} if one.nargs == -1 else {})


def is_argument(one: Any) -> bool:  # noqa: ANN401 - same
    return bool(one.param_type_name == "argument")


def kind_of(one: Any, path: str) -> str | list[str]:  # noqa: ANN401 - same
    described = one.type_descriptor
    if described.is_choice:
        return [str(getattr(choice, "value", choice)) for choice in described.choices or ()]
    if one.name in OF_COMMANDS.get(path, {}):
        return OF_COMMANDS[path][one.name]
    if one.metavar in TRACKERS and not described.is_path:
        return "trackers"
    return "files" if described.is_path else KINDS.get((one.name, one.metavar or ""), FREE)


def ping() -> dict[str, Any]:
    """Return `telemhq ping`, which reads its own command line."""
    options: list[dict[str, Any]] = []
    found: dict[str, Any]
    for one in command_line.OPTIONS:
        found = {"names": list(one.names), "help": first_line(one.help)}
        found |= {"is_many": True} if "--field" in one.names else {}
        options.append(found | ({"kind": OF_PING.get(one.names[0], FREE)} if one.takes else {}))
    told = {"help": command_line.SUMMARY, "options": options, "after": "files"}
    return told | {"arguments": [{"kind": "trackers"}]}


def first_line(text: str) -> str:
    """Return the first paragraph of a help text, on one line."""
    return " ".join(text.strip().split("\n\n")[0].split())


def content() -> str:
    """Return the whole file."""
    return json.dumps(node(command_of()), ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    FILE.write_text(content(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
