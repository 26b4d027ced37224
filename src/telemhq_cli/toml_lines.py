"""Where in a TOML file a value stands: the standard library's reader does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]++|"[^"]*"|'[^']*'|\s*+\.\s*+)++)\s*=""")
_OPEN = re.compile(r"=\s*\[\s*(?:#.*)?$")
_ITEM = re.compile(r"\[\d+\]$")


def lines_of(text: str) -> dict[str, int]:
    """Return the line of each table and key, by paths such as `trackers[0].schedule.cron`.

    Of a list whose items are inline tables, each on a line, these have a line too; any other key
    of an inline table, and what a value of several lines holds, is left to what it stands in.
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = array = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if array and line.lstrip().startswith("{"):
            found[f"{array}[{counts[array]}]"] = number
            counts[array] += 1
            continue
        array = ""
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header is not None and _names(header[2]):
            table = _placed(_names(header[2]), counts, is_item=header[1] == "[[")
            found.setdefault(table, number)
        elif key is not None and _names(key[1]):
            place = _joined(table, _names(key[1]))
            found.setdefault(place, number)
            if _OPEN.search(line):
                array = place
                counts[array] = 0
    return found


def line_of(lines: dict[str, int], path: str) -> int | None:
    """Return the line of a value, or of the nearest thing around it; None where there is none."""
    while path:
        for place in (path, f"{path}[0]"):
            if place in lines:
                return lines[place]
        shorter = _ITEM.sub("", path)
        path = shorter if shorter != path else path.rpartition(".")[0]
    return None


def _placed(names: list[str], counts: dict[str, int], *, is_item: bool) -> str:
    """Return the path of a table, each list on the way at its last item."""
    path = ""
    for at, name in enumerate(names):
        path = _joined(path, [name])
        if is_item and at == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
            for below in [known for known in counts if known.startswith(f"{path}[")]:
                del counts[below]
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def _names(dotted: str) -> list[str]:
    """Return the parts of a dotted key; none where it is no key."""
    try:
        inside: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return []
    names: list[str] = []
    while isinstance(inside, dict):
        ((name, inside),) = inside.items()
        names.append(name)
    return names


def _joined(path: str, names: Iterable[str]) -> str:
    return ".".join([*([path] if path else []), *names])
