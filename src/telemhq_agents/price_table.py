"""Which table of prices is in force: this version's own, or a newer one that was downloaded."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemhq_agents import whole_file
from telemhq_agents.errors import SettingsError, unwritable

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = Path(__file__).with_name("prices.json")
"""Made from genai-prices by tools/make_prices.py."""

_PARTS = {"from": str, "made": str, "providers": dict}


@cache
def built_in() -> Mapping[str, Any]:
    """Return this version's table."""
    table: Mapping[str, Any] = json.loads(TABLE.read_bytes())
    return table


def newest(downloaded: Path | None) -> Mapping[str, Any]:
    """Return the downloaded table where there is one that is newer than the built-in one.

    Raises SettingsError when it is there and cannot be read.
    """
    ours = built_in()
    theirs = None if downloaded is None else kept(downloaded)
    return theirs if theirs is not None and theirs["made"] > ours["made"] else ours


def kept(downloaded: Path) -> Mapping[str, Any] | None:
    """Return the table that was downloaded, None where none was. Raises SettingsError as above."""
    try:
        held = json.loads(downloaded.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unusable(downloaded, str(error)) from error
    if not isinstance(held, dict) or not all(
        isinstance(held.get(name), kind) for name, kind in _PARTS.items()
    ):
        raise _unusable(downloaded, "it is no table of prices")
    return held


def keep(downloaded: Path, text: str) -> None:
    """Put a checked table in place, whole or not at all. Raises SettingsError where it cannot."""
    try:
        whole_file.put(downloaded, text.encode())
    except OSError as error:
        raise unwritable(SettingsError, f"The downloaded prices in {downloaded}", error) from error


def _unusable(downloaded: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The downloaded prices in {downloaded} cannot be used: {what}.",
        f"telemhq prices update downloads them again; rm {downloaded} goes back to this "
        "version's own.",
    )
