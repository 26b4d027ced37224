"""What happens when the ledger turns out to be damaged: another one takes its place, and it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from telemhq_agents import clock, locations
from telemhq_agents.errors import BrokenLedgerError
from telemhq_cli.render.progress import patience
from telemhq_cli.render.voice import warn
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from telemhq_agents.ledger.damage import Replaced
    from telemhq_agents.locations import Locations

T = TypeVar("T")


def on_a_whole_ledger(work: Callable[[], T]) -> T:
    """Do this; where the ledger turns out to be damaged, replace it and do it once more.

    For work of which whatever was done before can be repeated.
    """
    try:
        return work()
    except BrokenLedgerError:
        mend(locations.ours())
    return work()


def mend(
    ours: Locations,
    is_sure: Callable[[Path], bool] | None = None,
    said: Callable[[str], None] = warn,
) -> Replaced | None:
    """Replace a damaged ledger and say so; None where it is whole after all.

    `is_sure` decides what damaged means, where that is not SQLite's own word. Raises DamagedError
    where the damaged ledger cannot be moved.
    """
    from telemhq_agents import credentials  # noqa: PLC0415 - hardly ever needed
    from telemhq_agents.ledger import damage  # noqa: PLC0415 - same

    with patience("Replacing the damaged ledger …"):
        replaced = damage.replace(
            ours.ledger,
            ours.backups,
            device_id=credentials.device(ours.credentials).id,
            now_ms=clock.now_ms(),
            is_sure=is_sure or damage.is_damaged,
        )
    if replaced is not None:
        for line in in_words(replaced):
            said(line)
    return replaced


def restore_if_empty(ours: Locations) -> None:
    """Take the newest backup where a crash left nothing of the ledger but its name."""
    if _is_empty(ours.ledger) and ours.backups.is_dir() and any(ours.backups.iterdir()):
        mend(ours, _is_empty)


def _is_empty(ledger: Path) -> bool:
    try:
        return ledger.stat().st_size == 0
    except FileNotFoundError:
        return False


def in_words(replaced: Replaced) -> list[str]:
    """Say what became of a damaged ledger, in lines."""
    made = "out of the logs that are still there"
    if replaced.source is not None:
        made = f"out of {replaced.source} and the logs"
    moved = f"the ledger was damaged; it lies in {replaced.aside} now, and is made again {made}."
    said = [f"{moved} What the server has is not counted twice.", *replaced.passed_over]
    if replaced.pings:
        said.append(f"{counted(replaced.pings, 'ping')} that waited in it will still be sent")
    return said
