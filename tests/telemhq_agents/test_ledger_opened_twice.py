"""One process may open the ledger twice: closing any of its files would drop the locks of both."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from telemhq_agents.ledger.store import Ledger

OPEN_AND_CLOSE = """
import sys
from pathlib import Path
from telemhq_agents.ledger.store import Ledger
with Ledger.open(Path(sys.argv[1])) as ledger:
    ledger.counts()
"""


def files_of_this_process() -> list[str]:
    """Return where each file that is open here lies; a deleted one ends in (deleted)."""
    places = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory itself, closed by now
            places.append(str(link.readlink()))
    return places


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")
def test_another_process_does_not_take_the_log_away_from_a_ledger_opened_twice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite3"

    with Ledger.open(path) as first, Ledger.open(path):
        first.counts()
        subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(path)], check=True, timeout=60)

        files = [place for place in files_of_this_process() if place.startswith(str(path))]
        assert f"{path}-wal" in files
        assert [place for place in files if place.endswith("(deleted)")] == []
