"""Where the ledger lies, as a text: what `locations` says, without pathlib, which takes 10 ms.

For the statusline and shell prompts alone; a test holds the two together.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME, FAILING = "ledger.sqlite3", "failing"


def ledger_file(environ: Mapping[str, str] = os.environ) -> str:
    """Return the path of this machine's ledger for this environment."""
    return f"{_folder(environ)}/{NAME}"


def failing_file(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the count of failing trackers is kept, for this environment."""
    return f"{_folder(environ)}/{FAILING}"


def _folder(environ: Mapping[str, str]) -> str:
    named = environ.get("TELEMHQ_HOME")
    if named:
        return f"{os.getcwd()}/{named}" if named[:1] != "/" else named  # noqa: PTH109 - same
    home = environ.get("HOME", "")
    if sys.platform != "linux" or home[:1] != "/":
        from telemhq_agents import locations  # noqa: PLC0415 - where nobody has measured

        return str(locations.ours(environ).data)
    data = environ.get("XDG_DATA_HOME", "")
    root = data if data[:1] == "/" else f"{home}/.local/share"
    return f"{root}/telemhq"
