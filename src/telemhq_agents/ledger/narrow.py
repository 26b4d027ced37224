"""The ledger as a reader of a few files sees it: ten thousand cursors stay on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemhq_agents.ledger.records import Batch, Booked, Cursor
    from telemhq_agents.ledger.store import Ledger
    from telemhq_agents.usage import Source


class Narrow:
    """The part of a ledger that collectors use, with cursors looked up one by one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def cursors(self, source: Source) -> Mapping[str, Cursor]:
        """Return how far each log of `source` has been read, by file key, when asked for it."""
        return AskedCursors(self._ledger, source)

    def book(self, batch: Batch) -> Booked:
        """Book facts, turns and cursors in one transaction; what is known already adds nothing."""
        return self._ledger.book(batch)


class AskedCursors(Mapping[str, "Cursor"]):
    """Cursors by file key. To go through them is to go through those that were asked for."""

    def __init__(self, ledger: Ledger, source: Source) -> None:
        self._ledger = ledger
        self._source = source
        self._asked: dict[str, Cursor] = {}

    def __getitem__(self, key: str) -> Cursor:
        if key not in self._asked:
            found = self._ledger.cursor(self._source, key)
            if found is None:
                raise KeyError(key)
            self._asked[key] = found
        return self._asked[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)
