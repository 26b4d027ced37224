"""How many trackers failed when a server was last asked, for a prompt that asks no server.

One line beside the ledger, `COUNT MILLISECONDS`, written by whoever lists trackers. Imports next to
nothing: a prompt is drawn again and again.
"""

from __future__ import annotations

from telemhq_agents.ledger_file import failing_file

TYPE_CHECKING = False  # typing itself costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

STALE_MS = 3_600_000
"""What is older than an hour says nothing of now."""

STATE = "failing"
"""`TrackerState.FAILING`, without importing the contract."""

_LONGEST = 64


def known(now_ms: int, environ: Mapping[str, str] | None = None) -> int:
    """Return how many trackers failed within the last hour's knowledge; 0 where nobody knows."""
    path = failing_file() if environ is None else failing_file(environ)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes 10 ms
            count, at_ms = map(int, file.read(_LONGEST).split())
    except (OSError, ValueError):
        return 0
    return max(count, 0) if 0 <= now_ms - at_ms < STALE_MS else 0


def remember(count: int, now_ms: int) -> None:
    """Keep what a server just said; a disk that takes nothing is no error here."""
    from telemhq_agents import locations, whole_file  # noqa: PLC0415 - not on the prompt's road

    try:
        whole_file.put(locations.ours().failing, f"{count} {now_ms}\n".encode(), sync=False)
    except OSError:
        return
