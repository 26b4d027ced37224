"""This machine's ledger and the names of its projects, as the user's own settings have them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from telemhq_agents import settings
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.privacy import ProjectNamer
from telemhq_cli.mending import restore_if_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.locations import Locations


@contextmanager
def open_ledger(ours: Locations) -> Iterator[Ledger]:
    """Open the ledger.

    Raises SettingsError where the user's own prices are wrong, BrokenLedgerError, also while it is in use: `mending.mend` puts another in its place.
    """
    restore_if_empty(ours)
    with Ledger.open(ours.ledger) as ledger:
        if ours.own_prices.exists():
            ledger.prices()
        yield ledger


def own_namer(ours: Locations) -> ProjectNamer:
    """Return who names projects here, and knows what the user keeps on this machine."""
    return ProjectNamer(settings.load(ours.settings).private.value)
