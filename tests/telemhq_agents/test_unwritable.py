"""Files of ours that the disk does not take are told in the same words, whichever it is."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from telemhq_agents import credentials, price_table, settings_file
from telemhq_agents.errors import NO_ROOM_OR_NO_RIGHT, TelemhqError
from telemhq_agents.own_prices import OwnPrice, set_own

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRICE = OwnPrice("gpt", "", "", {"input": 1.0, "output": 2.0})
WRITERS: dict[str, Callable[[Path], object]] = {
    "The settings in ": lambda path: settings_file.write(path, "timezone", "UTC"),
    "The prices in ": lambda path: set_own(path, PRICE),
    "The downloaded prices in ": lambda path: price_table.keep(path, "{}"),
    "The credentials in ": lambda path: credentials.change(
        path, lambda held: replace(held, trackers={"default/x": "https://example.com/ping/tt_x"})
    ),
}


@pytest.mark.parametrize("what", WRITERS)
def test_what_the_disk_does_not_take_is_told_alike(tmp_path: Path, what: str) -> None:
    path = tmp_path / "ours.file"
    path.with_name(f".{path.name}.{os.getpid()}.tmp").mkdir()  # where the new file is begun

    with pytest.raises(TelemhqError) as raised:
        WRITERS[what](path)

    assert raised.value.message == f"{what}{path} cannot be written: Is a directory."
    assert raised.value.next_step == NO_ROOM_OR_NO_RIGHT
    assert raised.value.exit_code == 3
    assert not path.exists()
