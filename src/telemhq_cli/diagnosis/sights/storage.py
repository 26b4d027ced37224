"""Looking at the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from telemhq_cli.diagnosis.seen import StorageSeen

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.locations import Locations


def storage(ours: Locations) -> StorageSeen | None:
    """Return how much room there is where our files are, or will be."""
    place = next((one for one in (ours.data, *ours.data.parents) if one.exists()), None)
    if place is None:
        return None
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return None
    return StorageSeen(str(place), free, sum(map(_size, _files(ours.ledger))))


def _files(ledger: Path) -> list[Path]:
    return [ledger, *(ledger.with_name(ledger.name + end) for end in ("-wal", "-shm"))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
