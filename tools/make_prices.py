"""Make src/telemhq_agents/prices.json out of the pinned genai-prices.

    python -m tools.make_prices           write the file
    python -m tools.make_prices --check   only tell whether it is what this would write

What is kept of it is decided where a downloaded table is made too: telemhq_agents/published_prices.
The file says on which day its content last changed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields, is_dataclass
from datetime import date, time
from importlib.metadata import version
from typing import Any

from genai_prices import types
from genai_prices.data import providers

from telemhq_agents import clock
from telemhq_agents.price_table import TABLE
from telemhq_agents.published_prices import as_text, table


def published() -> list[Any]:
    """Return the package's own data in the shape in which genai-prices publishes it."""
    found: list[Any] = _plain(list(providers))
    return found


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, types.ModelPrice):
        held = {name: getattr(value, name, None) for name in vars(value)}
        return {name: _plain(one) for name, one in held.items() if one is not None}
    if is_dataclass(value) and not isinstance(value, type):
        held = {one.name.rstrip("_"): getattr(value, one.name, None) for one in fields(value)}
        return {name: _plain(one) for name, one in held.items() if name and one is not None}
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, date | time) else value


def text(made: str) -> str:
    """Return the file's content, dated."""
    return as_text(table(published(), f"genai-prices {version('genai-prices')}", made))


def main(arguments: list[str]) -> int:
    """Write or check the table."""
    held = TABLE.read_text("utf-8") if TABLE.exists() else "{}"
    same = text(json.loads(held).get("made", "")) == held
    if arguments == ["--check"]:
        print("prices.json is up to date" if same else "prices.json is not what genai-prices says")
        return 0 if same else 1
    if not same:
        TABLE.write_text(text(clock.to_iso(clock.now_ms())[:10]), "utf-8")
    print(f"{TABLE}: {TABLE.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
