"""Every command there is, without loading one: what `python -m tools.make_completion` wrote down."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemhq_cli.completion.place import Node

# Beside this file in every form of installation; importlib.resources would take 15 ms more.
FILE = os.path.join(os.path.dirname(__file__), "commands.json")  # noqa: PTH118, PTH120 - pathlib is not loaded yet


def commands() -> Node:
    """Return the program's own node, with all others below it."""
    with open(FILE, "rb") as file:  # noqa: PTH123 - same
        found: Node = json.load(file)
    return found
